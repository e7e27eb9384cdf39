/*
 * What is measured: the matrix of chains, bodies and connections, and the goals some cells have. A goal is a ratio of
 * CPU seconds per 1,000 messages, either to the pass-through in front of one sink at the same body and connections, or (for
 * 1,000 connections) to the same chain at 100. Data only; measure.ts runs it.
 */
export interface Chain {
  readonly milters: number
  readonly plugins: number
}

export interface Cell {
  readonly name: string
  readonly chain: Chain
  readonly body: number
  readonly connections: number
  /** Highest allowed ratio of CPU to the pass-through. */
  readonly goal?: number
  /** Measured beside the same chain at this many connections, with the highest allowed ratio of CPU to it. */
  readonly beside?: { readonly connections: number; readonly goal: number }
}

export type Extent = 'goals' | 'full'

const SMALL = 10 * 1024
const BIG = 1024 * 1024
const CHAINS: readonly Chain[] = [
  { milters: 0, plugins: 0 },
  { milters: 1, plugins: 0 },
  { milters: 3, plugins: 0 },
  { milters: 5, plugins: 0 },
  { milters: 0, plugins: 1 },
  { milters: 0, plugins: 3 },
  { milters: 0, plugins: 5 },
  { milters: 3, plugins: 3 },
]

function goal(chain: Chain, body: number, connections: number): number | undefined {
  if (connections !== 10 && connections !== 100) return undefined
  const key = `${chain.milters}+${chain.plugins}`
  if (body === SMALL) return { '1+0': 0.75, '3+0': 1.6, '5+0': 2.5, '0+3': 0.5 }[key]
  return { '1+0': 1.2, '3+0': 2.0 }[key]
}

function cell(chain: Chain, body: number, connections: number): Cell {
  const limit = goal(chain, body, connections)
  const size = body === BIG ? '1MB' : '10KB'
  return {
    name: `${size} c${connections} m${chain.milters} p${chain.plugins}`,
    chain,
    body,
    connections,
    ...(limit === undefined ? {} : { goal: limit }),
    ...(connections === 1000 ? { beside: { connections: 100, goal: 1.15 } } : {}),
  }
}

/** 'goals' holds every cell that has a goal; 'full' the whole matrix (1,000 connections at 10 KB only). */
export function cells(extent: Extent): Cell[] {
  const all = [SMALL, BIG].flatMap(body =>
    [1, 10, 100, 1000]
      .filter(connections => body === SMALL || connections < 1000)
      .flatMap(connections => CHAINS.map(chain => cell(chain, body, connections))),
  )
  if (extent === 'full') return all
  return all.filter(
    one =>
      one.goal !== undefined ||
      (one.beside !== undefined && one.chain.plugins === 0 && [1, 3].includes(one.chain.milters)),
  )
}
