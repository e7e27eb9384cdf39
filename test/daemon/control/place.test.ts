import { afterEach, describe, expect, it, vi } from 'vitest'
import { controlPlace, controlPlaces } from '../../../src/daemon/control/place.ts'

const SYSTEM = '/run/milterhost/control.sock'
const as = (uid: number): void => void vi.spyOn(process, 'getuid').mockReturnValue(uid)

afterEach(() => vi.restoreAllMocks())

describe('where the control socket lies', () => {
  it('is where systemd says, the first of several, before all else', () => {
    const environment = { RUNTIME_DIRECTORY: '/run/mx1:/run/other', XDG_RUNTIME_DIR: '/run/user/7' }
    expect(controlPlace(environment)).toBe('/run/mx1/control.sock')
    expect(controlPlaces(environment)).toEqual(['/run/mx1/control.sock', SYSTEM])
  })

  it('is that of the system for root, who looks nowhere else', () => {
    as(0)
    for (const environment of [{}, { RUNTIME_DIRECTORY: '', XDG_RUNTIME_DIR: '/run/user/0' }])
      expect(controlPlaces(environment)).toEqual([SYSTEM])
  })

  it('is the user’s own for others, who then look for that of the system', () => {
    as(1000)
    const place = '/run/user/7/milterhost/control.sock'
    expect(controlPlaces({ XDG_RUNTIME_DIR: '/run/user/7' })).toEqual([place, SYSTEM])
    expect(controlPlace({ STATE_DIRECTORY: '/var/lib/mine' })).toBe('/var/lib/mine/control.sock')
  })
})
