import { duplexPair } from 'node:stream'
import { describe, expect, test } from 'vitest'
import { inheritedLauncher, LauncherClient } from '../../../src/bridge/launch/index.ts'
import { encodeAnswer, FRAME } from '../../../src/bridge/launch/launcher/frame.ts'
import { until } from '../../interop/harness/wait.ts'

const never = new AbortController().signal

describe('the connection to the launcher', () => {
  test('is none where nothing was inherited', () => {
    expect(inheritedLauncher({})).toBeNull()
  })

  test.each(['', 'x', '-1', '0', '2', '3.5', '9999', '99999'])('is refused when the variable says %j', given => {
    expect(() => inheritedLauncher({ MILTERHOST_LAUNCHER_FD: given })).toThrow(
      expect.objectContaining({ code: 'LAUNCHER_SOCKET' }),
    )
  })

  test('gives each request its own answer, in whatever order and pieces they come', async () => {
    const [ours, theirs] = duplexPair()
    const client = new LauncherClient(ours)
    const asked = ['a', 'b', 'c'].map(id => client.request('status', id, never))
    const frames = [0, 1, 2].map(number =>
      encodeAnswer({ number, result: 'done', state: 'running', own: true, pid: 100 + number, last: null, wait: 0 }),
    )
    const bytes = Buffer.concat([frames[2]!, frames[0]!, frames[1]!])
    for (let at = 0; at < bytes.length; at += 50) theirs.write(bytes.subarray(at, at + 50))
    expect((await Promise.all(asked)).map(({ pid }) => pid)).toEqual([100, 101, 102])
  })

  test('is over when something else than an answer comes, for those who wait and those who ask later', async () => {
    const [ours, theirs] = duplexPair()
    const client = new LauncherClient(ours)
    const asked = client.request('start', 'a', never)
    theirs.write(Buffer.alloc(FRAME.size, 'x'))
    await expect(asked).rejects.toMatchObject({ code: 'LAUNCHER_GONE' })
    await expect(client.request('start', 'a', never)).rejects.toMatchObject({ code: 'LAUNCHER_GONE' })
    await until('it to be closed', () => ours.destroyed)
  })

  test('forgets a request that is given up, and takes no harm from its late answer', async () => {
    const [ours, theirs] = duplexPair()
    const client = new LauncherClient(ours)
    const giving = new AbortController()
    const asked = client.request('start', 'a', giving.signal)
    giving.abort(new Error('enough'))
    await expect(asked).rejects.toThrow('given up: enough')
    const late = { result: 'done', state: 'running', own: true, pid: 1, last: null, wait: 0 } as const
    theirs.write(encodeAnswer({ ...late, number: 0 }))
    const next = client.request('status', 'a', never)
    theirs.write(encodeAnswer({ ...late, number: 1, pid: 7 }))
    expect(await next).toMatchObject({ pid: 7 })
  })
})
