/**
 * `milterhost greylist export`: every mark as a line of JSON, for a copy or for another store with the same secret.
 *
 * However many there are, a few hundred are in memory. Decisions go on meanwhile.
 */

import { once } from 'node:events'
import { createWriteStream, type WriteStream } from 'node:fs'
import { finished } from 'node:stream/promises'
import type { CommandCall, PluginSubcommand } from 'milterhost/plugin'
import { headLine, markLine } from '../import/own.ts'
import { KINDS } from '../store.ts'
import { COMMON, type Opened, withGreylist } from './open.ts'

const BATCH = 500

export const exportMarks: PluginSubcommand = {
  description: 'write all that is remembered as lines of JSON',
  options: { ...COMMON, '-o, --output <file>': 'a new file (default: standard output)' },
  examples: ['milterhost greylist export --output greylist.jsonl'],
  run: call => withGreylist(call, opened => written(call, opened)),
}

async function written(call: CommandCall, { store, keys }: Opened): Promise<void> {
  const { options, clock, print, progress } = call
  const file =
    typeof options.output === 'string' ? createWriteStream(options.output, { flags: 'wx', mode: 0o600 }) : null
  if (file !== null) await once(file, 'open')
  const { entries } = await store.stats()
  const total = KINDS.reduce((sum, kind) => sum + entries[kind], 0)
  let lines = [headLine(keys)]
  let done = 0
  const flush = async (): Promise<void> => {
    if (file === null) print(lines.join('\n'))
    else await put(file, `${lines.join('\n')}\n`)
    lines = []
    progress(done, total)
  }
  for await (const entry of store.entries(clock.now())) {
    lines.push(markLine(entry))
    done++
    if (lines.length >= BATCH) await flush()
  }
  if (lines.length > 0) await flush()
  if (file !== null) {
    file.end()
    await finished(file)
    print(`${done} marks written`)
  }
}

async function put(file: WriteStream, text: string): Promise<void> {
  if (file.errored !== null) throw file.errored
  if (!file.write(text)) await once(file, 'drain')
}
