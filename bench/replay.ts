/*
 * npm run bench -- --replay: how many recorded sessions a second `milterhost replay` plays: the command as a user starts it, with a
 * chain of three plugins, over 10,000 sessions (--sessions N for others), its start included.
 */
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { CONFIG_AFTER, writeTraffic } from '../test/cli/replay-traffic.ts'
import { scratchFolder } from './process.ts'
import { BenchError } from './tools.ts'

/** Sessions a second. */
const GOAL = 500
const BIN = resolve(import.meta.dirname, '../bin/milterhost.mjs')

export function runReplay(sessions: number, json: boolean): boolean {
  const folder = scratchFolder(join(tmpdir(), 'milterhost-bench-'))
  const config = join(folder, 'new.config.ts')
  writeFileSync(config, CONFIG_AFTER)
  const recordings = join(folder, 'recordings')
  writeTraffic(recordings, sessions)
  const began = performance.now()
  const { status, stderr } = spawnSync(process.execPath, [BIN, 'replay', recordings, '--config', config, '--json'], {
    encoding: 'utf8',
    maxBuffer: 1 << 30,
  })
  const seconds = (performance.now() - began) / 1_000
  if (status !== 0 && status !== 1) throw new BenchError(`replay ended with ${status}: ${stderr}`)
  const rate = sessions / seconds
  const result = { sessions, seconds, rate, goal: GOAL, ratio: rate / GOAL }
  if (json) console.log(JSON.stringify(result, null, 2))
  else
    console.log(
      `replay: ${sessions} sessions in ${seconds.toFixed(1)} s: ${Math.round(rate)} sessions a second, ${result.ratio.toFixed(1)} times the goal of ${GOAL}`,
    )
  return rate >= GOAL
}
