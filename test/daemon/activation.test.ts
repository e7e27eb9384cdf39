import { closeSync, openSync } from 'node:fs'
import { describe, expect, it, onTestFinished } from 'vitest'
import { inheritedSockets } from '../../src/daemon/activation.ts'

describe('sockets that were opened for this process', () => {
  it('are none where none were, or where they are for another process', () => {
    expect(inheritedSockets({}, 7)).toEqual([])
    expect(inheritedSockets({ LISTEN_FDS: '2', LISTEN_PID: '8' }, 7)).toEqual([])
    expect(inheritedSockets({ LISTEN_FDS: '2' }, 7)).toEqual([])
    expect(inheritedSockets({ LISTEN_FDS: '0', LISTEN_PID: '7' }, 7)).toEqual([])
  })

  it.each(['-1', '1.5', 'many', '100000'])('are not believed to be %s', count =>
    expect(() => inheritedSockets({ LISTEN_FDS: count, LISTEN_PID: '7' }, 7)).toThrow(/not a number of sockets/),
  )

  it('are refused when they are files', () => {
    const taken: number[] = []
    onTestFinished(() => {
      for (const fd of taken) closeSync(fd)
    })
    // Whatever this process has open at 3, the first that is no socket is named.
    while ((taken.at(-1) ?? 0) < 6) taken.push(openSync('/dev/null', 'r'))
    const launched = { LISTEN_FDS: '100', MILTERHOST_LAUNCHER_FD: '103' }
    expect(() => inheritedSockets(launched, 7)).toThrow(/file descriptor \d+: (?:it is no socket|ENOENT)/)
  })
})
