/*
 * The processes of one cell: one sink that plays every external milter, the pass-through in front of its first
 * listener, and the subject, which is the daemon with the chain of the cell, or (to prove the bench itself) a second
 * pass-through. Fresh for each cell, so that peak memory is that cell's.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import type { Chain } from './cells.ts'
import { type Running, removeFolder, scratchFolder, start, untilListening } from './process.ts'
import { BenchError, benchFolder, buildFolder, type Tools } from './tools.ts'

export type SubjectKind = 'daemon' | 'passthrough'

export interface Stand {
  readonly sink: Running
  readonly baseline: Running
  readonly baselineAddress: string
  readonly subject: Running
  readonly subjectAddress: string
  close(): Promise<void>
}

export interface StandOptions {
  readonly chain: Chain
  readonly subject: SubjectKind
  /** Of each external milter. */
  readonly pipelining: boolean
  /** Options of the sink: --edit, --nr. */
  readonly sink: readonly string[]
}

export const command: string = resolve(benchFolder, '../bin/milterhost.mjs')

export async function openStand(tools: Tools, options: StandOptions): Promise<Stand> {
  const folder = scratchFolder(join(tmpdir(), 'mh-bench-'))
  const path = (name: string): string => join(folder, name)
  const log = (name: string): string => path(`${name}.log`)
  const milters = Array.from({ length: Math.max(1, options.chain.milters) }, (_, i) => path(`m${i + 1}`))
  const started: Running[] = []
  const begin = async (one: Running, socket: string): Promise<Running> => {
    started.push(one)
    await untilListening(one, socket)
    return one
  }
  const close = async (): Promise<void> => {
    for (const one of started.toReversed()) await one.stop()
    removeFolder(folder)
  }
  const passthrough = (name: string): Promise<Running> =>
    begin(
      start(name, process.execPath, [join(benchFolder, 'passthrough.ts'), path(name), milters[0]!], log(name)),
      path(name),
    )
  try {
    const sink = await begin(start('sink', tools.sink, [...options.sink, ...milters], log('sink')), milters.at(-1)!)
    const baseline = await passthrough('baseline')
    const subject =
      options.subject === 'passthrough'
        ? await passthrough('subject')
        : await begin(startDaemon(path('subject'), milters, options, log('subject')), path('subject'))
    return { sink, baseline, baselineAddress: path('baseline'), subject, subjectAddress: path('subject'), close }
  } catch (error) {
    await close()
    throw error
  }
}

/**
 * The daemon as a postmaster starts it. The configuration lies inside the repository, in the ignored build folder,
 * so that `milterhost` and the bench plugins resolve as they do for any file of it.
 */
export function startDaemon(
  listen: string,
  milters: readonly string[],
  chain: Pick<StandOptions, 'chain' | 'pipelining'>,
  log: string,
): Running {
  mkdirSync(buildFolder, { recursive: true })
  const config = join(scratchFolder(join(buildFolder, 'config-')), 'milterhost.config.ts')
  writeFileSync(config, configuration(listen, milters, chain))
  return start('the daemon', process.execPath, [command, 'run', '--config', config], log)
}

function configuration(
  listen: string,
  milters: readonly string[],
  { chain, pipelining }: Pick<StandOptions, 'chain' | 'pipelining'>,
): string {
  if (milters.length < chain.milters) throw new BenchError('fewer sockets than external milters')
  const sockets = milters
    .slice(0, chain.milters)
    .map((path, i) => `    socket('m${i + 1}', 'unix:${path}'${pipelining ? ', { pipelining: true }' : ''}),`)
  const plugins = Array.from({ length: chain.plugins }, (_, i) => `    stamp({}, { name: 'p${i + 1}' }),`)
  return [
    `import { defineConfig, socket } from 'milterhost'`,
    `import { stamp } from '../../plugins.ts'`,
    '',
    'void socket, void stamp',
    'export default defineConfig({',
    `  listen: 'unix:${listen}',`,
    '  filters: [',
    ...sockets,
    ...plugins,
    '  ],',
    '})',
    '',
  ].join('\n')
}
