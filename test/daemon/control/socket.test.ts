import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { askControl } from '../../../src/daemon/control/client.ts'
import { ControlSocket } from '../../../src/daemon/control/socket.ts'
import { LogLines } from '../../bridge/mta/support/mta.ts'
import { HandClock } from '../../host/support/clock.ts'

let folder: string
let log: LogLines
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'milterhost-control-'))
  log = new LogLines()
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
})

function socket(name: string): ControlSocket {
  const place = join(folder, 'run', 'control.sock')
  const made = new ControlSocket({ place, clock: new HandClock(), log, handle: async () => ({ name }) })
  onTestFinished(() => made.close())
  return made
}

const DEFAULT = { socket: null }

/** Who answers there; `null` for nobody. */
async function at(...path: string[]): Promise<unknown> {
  try {
    const { result, close } = await askControl(join(folder, ...path), { do: 'status' })
    close()
    return (result as unknown as { name: string }).name
  } catch {
    return null
  }
}

describe('the control socket of a configuration', () => {
  it('moves with a reload, and the old place is given up only when the reload holds', async () => {
    const control = socket('one')
    ;(await control.prepare(DEFAULT)).commit()
    const named = { socket: join(folder, 'named.sock') }
    const refused = await control.prepare(named)
    expect([await at('named.sock'), await at('run', 'control.sock')]).toEqual(['one', 'one'])
    refused.cancel()
    expect([await at('named.sock'), await at('run', 'control.sock')]).toEqual([null, 'one'])
    ;(await control.prepare(named)).commit()
    expect([await at('named.sock'), await at('run', 'control.sock')]).toEqual(['one', null])
    ;(await control.prepare(null)).commit()
    expect(existsSync(named.socket)).toBe(false)
  })

  it('stays the same socket while its place does', async () => {
    const control = socket('one')
    ;(await control.prepare(DEFAULT)).commit()
    const unchanged = await control.prepare(DEFAULT)
    unchanged.cancel()
    expect(await at('run', 'control.sock')).toBe('one')
  })

  it('at a default place that another daemon has is gone without, with a word, and had at the next reload', async () => {
    const [first, second] = [socket('first'), socket('second')]
    ;(await first.prepare(DEFAULT)).commit()
    ;(await second.prepare(DEFAULT)).commit()
    expect(log.lines).toMatchObject([
      { code: 'LISTEN_IN_USE', message: expect.stringContaining('will not find this daemon') },
    ])
    expect(await at('run', 'control.sock')).toBe('first')
    first.close()
    ;(await second.prepare(DEFAULT)).commit()
    expect(await at('run', 'control.sock')).toBe('second')
  })

  it('that is named and cannot be had is an error, and the one before goes on', async () => {
    const control = socket('one')
    ;(await control.prepare(DEFAULT)).commit()
    mkdirSync(join(folder, 'taken.sock'))
    await expect(control.prepare({ socket: join(folder, 'taken.sock') })).rejects.toMatchObject({
      code: 'LISTEN_FOREIGN',
    })
    await expect(control.prepare({ socket: '/nonexistent/c.sock' })).rejects.toMatchObject({ code: 'LISTEN_DIRECTORY' })
    expect(await at('run', 'control.sock')).toBe('one')
  })
})
