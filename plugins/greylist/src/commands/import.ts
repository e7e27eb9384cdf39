/**
 * `milterhost greylist import`: takes over what an export of ours, or another greylist, remembered.
 *
 * A line that makes no sense is told with its number, and the rest goes on. Marks are merged in batches, so that a million lines need
 * no more memory than a few hundred; merging the same again changes nothing. The daemon may be at work meanwhile.
 */
import { closeSync, createReadStream, openSync, readSync, statSync } from 'node:fs'
import type { CommandCall, PluginSubcommand } from 'milterhost/plugin'
import { Engine } from '../engine.ts'
import { Converter } from '../import/convert.ts'
import { linesOf } from '../import/lines.ts'
import { milterGreylist } from '../import/milter-greylist.ts'
import type { LineReader, Old } from '../import/old.ts'
import { ForeignFile, own } from '../import/own.ts'
import { postgrey } from '../import/postgrey.ts'
import { spamdb } from '../import/spamdb.ts'
import { rowOf, sqlgrey, sqlgreyFile } from '../import/sqlgrey.ts'
import type { Entry } from '../store.ts'
import { userError } from './error.ts'
import { COMMON, JSON_FLAG, type Opened, withGreylist } from './open.ts'
import { PreviewStore, previewGuard } from './preview.ts'

const FORMATS = ['milterhost', 'postgrey', 'milter-greylist', 'sqlgrey', 'spamdb'] as const
type Format = (typeof FORMATS)[number]

/** Lines whose clients are looked up at a time; four marks a line fit into one merge. */
const BATCH = 100
/** Lines that are told one by one. */
const MOST_TOLD = 20

export const importMarks: PluginSubcommand = {
  description: 'take over what an export, or another greylist, remembered',
  operands: '<file>',
  options: {
    ...COMMON,
    '--from <format>': `${FORMATS.join(', ')} (default: milterhost, an export)`,
    '--no-dns': 'do not look up the names of clients',
    '-n, --dry-run': 'read all, change nothing',
    '--strict': 'stop at the first line that makes no sense',
    ...JSON_FLAG,
  },
  examples: [
    'milterhost greylist import greylist.jsonl',
    'db_dump -p /var/lib/postgrey/postgrey_clients.db | milterhost greylist import --from postgrey -',
    'spamdb | milterhost greylist import --from spamdb -',
  ],
  run: call => withGreylist(call, opened => imported(call, opened)),
}

interface Counts {
  read: number
  marks: number
  /** Lines that make no sense. */
  broken: number
  /** Too old to be of use. */
  expired: number
  readonly leftOut: Map<string, number>
}

/** A line, row or mark of the file. `done` and `total` in whatever unit the file is measured. */
interface Piece {
  readonly at: string
  /** Throws with the reason when it makes no sense. */
  readonly read: () => Old | null
  readonly done: number
  readonly total: number | null
}

async function imported(call: CommandCall, opened: Opened): Promise<0 | 1> {
  const { operands, options, print, progress } = call
  const format = formatOf(options.from)
  const counts: Counts = { read: 0, marks: 0, broken: 0, expired: 0, leftOut: new Map() }
  const guard = previewGuard(call, opened, new PreviewStore(opened.store))
  try {
    const { options: settings, keys } = opened
    const engine = new Engine({ options: settings, guard, dns: call.dns, now: () => call.clock.now() })
    const converter = new Converter({ options: settings, keys, engine, dns: options.dns === false ? null : call.dns })
    let batch: Exclude<Old, { kind: 'left-out' }>[] = []
    const flush = async (): Promise<void> => {
      const found = (await Promise.all(batch.map(old => converter.marks(old)))).flat()
      batch = []
      await take(found, call, opened, counts)
    }
    for await (const piece of piecesOf(operands[0] ?? '-', format, opened)) {
      const old = readPiece(piece, call, counts)
      if (old === null) continue
      counts.read++
      if (old.kind === 'left-out') counts.leftOut.set(old.why, (counts.leftOut.get(old.why) ?? 0) + 1)
      else batch.push(old)
      if (batch.length < BATCH) continue
      await flush()
      progress(piece.done, piece.total)
    }
    await flush()
  } finally {
    await guard.close()
  }
  const { read, marks, broken, expired, leftOut } = counts
  if (options.json === true)
    print(JSON.stringify({ read, marks, broken, expired, leftOut: Object.fromEntries(leftOut) }, null, 2))
  else {
    print(`${read} entries read, ${marks} marks ${options.dryRun === true ? 'found' : 'taken'}, ${expired} too old`)
    for (const [why, count] of leftOut) print(`${count} left out: ${why}`)
    if (broken > 0) call.complain(`${broken} lines make no sense`)
  }
  return broken > 0 ? 1 : 0
}

async function take(found: readonly Entry[], call: CommandCall, { store }: Opened, counts: Counts): Promise<void> {
  const now = call.clock.now()
  const alive = found.filter(({ expires }) => expires > now)
  counts.expired += found.length - alive.length
  if (call.options.dryRun === true || alive.length === 0) counts.marks += alive.length
  else counts.marks += await store.merge(alive, now)
}

function readPiece({ at, read }: Piece, call: CommandCall, counts: Counts): Old | null {
  try {
    return read()
  } catch (error) {
    const said = `${at}: ${(error as Error).message}`
    if (error instanceof ForeignFile || call.options.strict === true) throw userError(said)
    if (++counts.broken <= MOST_TOLD) call.complain(said)
    return null
  }
}

async function* piecesOf(path: string, format: Format, opened: Opened): AsyncGenerator<Piece> {
  if (format === 'sqlgrey' && path !== '-' && isSqlite(path)) {
    let done = 0
    for (const { at, row, total } of sqlgreyRows(path)) yield { at, read: () => rowOf(row), done: ++done, total }
    return
  }
  const reader = readerOf(format, opened)
  const total = path === '-' ? null : sizeOf(path)
  const input: AsyncIterable<Uint8Array> = path === '-' ? process.stdin : createReadStream(path)
  for await (const { number, text, bytes } of linesOf(input)) {
    const read = (): Old | null => {
      if (text === null) throw new Error('too long')
      return reader(text)
    }
    yield { at: `line ${number}`, read, done: bytes, total }
  }
}

function* sqlgreyRows(path: string): ReturnType<typeof sqlgreyFile> {
  try {
    yield* sqlgreyFile(path)
  } catch (error) {
    throw userError(`${path}: ${(error as Error).message}`)
  }
}

function readerOf(format: Format, { keys }: Opened): LineReader {
  switch (format) {
    case 'milterhost':
      return own(keys)
    case 'postgrey':
      return postgrey()
    case 'milter-greylist':
      return milterGreylist()
    case 'sqlgrey':
      return sqlgrey()
    case 'spamdb':
      return spamdb()
  }
}

function formatOf(given: string | boolean | undefined): Format {
  const format = FORMATS.find(name => name === (given ?? 'milterhost'))
  if (format === undefined) throw userError(`--from is one of ${FORMATS.join(', ')}`)
  return format
}

function sizeOf(path: string): number {
  try {
    return statSync(path).size
  } catch (error) {
    throw userError((error as Error).message)
  }
}

/** SQLite files begin with their own name. */
function isSqlite(path: string): boolean {
  sizeOf(path)
  const descriptor = openSync(path, 'r')
  try {
    const head = Buffer.alloc(15)
    readSync(descriptor, head, 0, head.length, 0)
    return head.toString('latin1') === 'SQLite format 3'
  } finally {
    closeSync(descriptor)
  }
}
