import { describe, expect, it } from 'vitest'
import { stateFilePath } from '../../../src/plugin.ts'

describe('the place of a state file', () => {
  it('is the folder that systemd gives, the first of several', () => {
    expect(stateFilePath('a.sqlite', { STATE_DIRECTORY: '/srv/one:/srv/two' })).toBe('/srv/one/a.sqlite')
  })

  it('is where the system keeps such things for root, and below home for others', () => {
    const folder = process.getuid?.() === 0 ? '/var/lib' : '/home/a/state'
    expect(stateFilePath('a.sqlite', { STATE_DIRECTORY: '', XDG_STATE_HOME: '/home/a/state' })).toBe(
      `${folder}/milterhost/a.sqlite`,
    )
  })
})
