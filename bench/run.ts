/*
 * npm run bench: measures the daemon beside a plain pass-through, cell by cell, and says which goals are met. Composes the
 * other files of this folder; README.md says how to read what it prints. Loopback only, bounded in time, and it ends
 * only processes that it started.
 */
import { parseArgs } from 'node:util'
import { cleanUp } from '../test/interop/harness/cleanup.ts'
import { type Cell, cells } from './cells.ts'
import { runHolds } from './holds.ts'
import { type CellResult, type Effort, measure } from './measure.ts'
import { runPostfix } from './postfix.ts'
import { stopAll } from './process.ts'
import { heading, lines, toolCost, verdicts } from './report.ts'
import { BenchError, buildTools } from './tools.ts'

const USAGE = `usage: npm run bench -- [options]
  (none)           every cell that has a goal
  --full           the whole matrix: 0/1/3/5 milters and plugins, 10 KB and 1 MB, 1/10/100/1,000 connections
  --quick          short rounds, a few seconds a cell
  --only PATTERN   only cells whose name matches, such as '10KB c10 m3'; a regular expression
  --postfix        the whole-system figure instead: real Postfix, three milters (see README.md)
  --dkim           DKIM instead: the plugin beside OpenDKIM and dkimpy-milter, CPU for a message
  --lookups        look-ups instead: 100,000 users in each real backend (with --only NAME: that one)
  --holds          what held clients cost instead: 10,000 at once (--sessions N for others)
  --replay         replay of recorded sessions instead: sessions a second, 10,000 of them (--sessions N for others)
  --edit           each external milter adds a header
  --pipelining     external milters that are known to bear it: 'pipelining: true' for each
  --write BYTES    largest write of the MTA; Postfix on a UNIX socket writes 4096 at a time (default: all at once)
  --self           measure a second pass-through instead of the daemon: every ratio should be 1
  --list           names of the cells, nothing is run
  --json           one JSON document instead of the table`

function readOptions() {
  try {
    return parseArgs({
      options: {
        full: { type: 'boolean', default: false },
        quick: { type: 'boolean', default: false },
        only: { type: 'string' },
        postfix: { type: 'boolean', default: false },
        holds: { type: 'boolean', default: false },
        replay: { type: 'boolean', default: false },
        lookups: { type: 'boolean', default: false },
        dkim: { type: 'boolean', default: false },
        sessions: { type: 'string', default: '10000' },
        edit: { type: 'boolean', default: false },
        pipelining: { type: 'boolean', default: false },
        write: { type: 'string' },
        self: { type: 'boolean', default: false },
        list: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    }).values
  } catch (error) {
    console.error(`bench: ${(error as Error).message}\n\n${USAGE}`)
    process.exit(2)
  }
}

const values = readOptions()

function chosen(): Cell[] {
  const pattern = values.only === undefined ? undefined : new RegExp(values.only)
  const all = cells(values.full || pattern ? 'full' : 'goals').filter(cell => pattern?.test(cell.name) ?? true)
  return values.self ? all.map(({ name, chain, body, connections }) => ({ name, chain, body, connections })) : all
}

function effort(cell: Cell): Effort {
  const factor = cell.body > 100_000 || cell.connections >= 1000 ? 2 : 1
  // V8 goes on compiling for some 15,000 messages; a daemon runs for years.
  return values.quick ? { rounds: 3, seconds: 0.7 * factor, warmUp: 1 } : { rounds: 9, seconds: factor, warmUp: 15 }
}

async function matrix(): Promise<boolean> {
  const tools = buildTools()
  const results: CellResult[] = []
  const subject = values.self ? 'passthrough' : 'daemon'
  const say = (text: string): void => {
    if (!values.json) console.log(text)
  }
  say(heading())
  for (const cell of chosen()) {
    const result = await measure(tools, cell, effort(cell), {
      subject,
      sink: values.edit ? ['--edit'] : [],
      pipelining: values.pipelining,
      load: values.write === undefined ? [] : ['--write', values.write],
    })
    results.push(result)
    say(lines(result))
  }
  if (results.length === 0) throw new BenchError('no cell has that name; --list shows them')
  say(`\n${toolCost(results)}`)
  const goals = values.self ? [] : results.flatMap(verdicts)
  const missed = goals.filter(goal => !goal.met)
  if (!values.self) say(`goals: ${goals.length - missed.length} of ${goals.length} met`)
  if (values.json) {
    const judged = results.map(result => ({ ...result, goals: values.self ? [] : verdicts(result) }))
    console.log(JSON.stringify(judged, null, 2))
  }
  return missed.length === 0
}

async function main(): Promise<number> {
  if (values.help) {
    console.log(USAGE)
    return 0
  }
  if (values.list) {
    for (const cell of chosen()) console.log(cell.name)
    return 0
  }
  if (values.lookups) {
    // It loads every driver.
    const { runLookups } = await import('./lookups.ts')
    return (await runLookups(values.only ?? '', values.json)) ? 0 : 1
  }
  if (values.dkim) {
    // It loads the plugin with all that it needs.
    const { runDkim } = await import('./dkim.ts')
    return (await runDkim(values.json, values.quick)) ? 0 : 1
  }
  if (values.replay) {
    const { runReplay } = await import('./replay.ts')
    return runReplay(Number(values.sessions), values.json) ? 0 : 1
  }
  if (values.holds) return (await runHolds(Number(values.sessions), values.json)) ? 0 : 1
  const met = values.postfix ? await runPostfix(buildTools(), values) : await matrix()
  return met ? 0 : 1
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    void Promise.all([stopAll(), cleanUp()]).finally(() => process.exit(130))
  })
}
try {
  process.exitCode = await main()
} catch (error) {
  console.error(error instanceof BenchError ? `bench: ${error.message}` : error)
  process.exitCode = 2
} finally {
  await stopAll()
}
