// Debian's miltertest in the place of the MTA. The scripts beside this file say what it sends and checks; it exits with 1 when a
// check fails, and `run` then rejects with what it said.

import { fileURLToPath } from 'node:url'
import { socket } from 'milterhost'
import { beforeAll, expect, test } from 'vitest'
import { type RunningHost, startHost } from '../harness/host.ts'
import { rawMilter, requirePrograms, run } from '../harness/index.ts'
import { tool } from './plugin.ts'

const here = fileURLToPath(new URL('.', import.meta.url))

requirePrograms('miltertest')('miltertest', () => {
  let host: RunningHost
  beforeAll(async () => {
    const milter = await rawMilter({ on: { E: [['h', 'X-Raw', 'seen'], 'c'] } })
    host = await startHost({ listen: 'inet', filters: [tool(), socket('raw', milter.address)] })
  })

  const play = (script: string, address: string, ...variables: string[]): Promise<string> => {
    const all = [`socket=${address}`, `helpers=${here}helpers.lua`, ...variables]
    return run('/usr/bin/miltertest', [...all.flatMap(variable => ['-D', variable]), '-s', `${here}${script}.lua`])
  }

  test('gets every edit at the end of the message', async () => {
    await play('edits', host.sendmailAddress)
  })

  test('gets every verdict in its words, and the next message is fine', async () => {
    await play('verdicts', host.sendmailAddress)
    const outcomes = host.eventsOf('message-settled').map(({ outcome }) => outcome)
    expect(outcomes.slice(-4)).toEqual(['aborted', 'reject', 'discard', 'accept'])
  })

  test.for(['2', '3', '4', '6'])('may speak version %s', async version => {
    await play('version', host.sendmailAddress, `version=${version}`)
  })

  test('says so when a check fails', async () => {
    const other = await startHost({ listen: 'inet' })
    await expect(play('verdicts', other.sendmailAddress)).rejects.toThrow(/failed: an unknown recipient: reply c/)
  })
})
