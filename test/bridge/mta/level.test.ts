import { describe, expect, it } from 'vitest'
import { levelAddress, levelClient, levelPath } from '../../../src/bridge/mta/level.ts'

describe('levelling', () => {
  it.each([
    ['IPv6:0:0:0:0:0:0:0:1', '::1'],
    ['IPv6:2001:DB8:0:0:0:0:0:1', '2001:db8::1'],
    ['::1', '::1'],
    ['192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['IPv6:junk', 'junk'],
    ['', ''],
  ])('the address %s becomes %s', (from, to) => {
    expect(levelAddress(from)).toBe(to)
  })

  it('a client without a name is named the same by both MTAs', () => {
    const sendmail = {
      kind: 'connect',
      host: '[IPv6:0:0:0:0:0:0:0:1]',
      family: 'inet6',
      port: 25,
      address: 'IPv6:0:0:0:0:0:0:0:1',
    } as const
    const postfix = { ...sendmail, host: '[::1]', address: '::1' }
    expect(levelClient(sendmail)).toEqual(levelClient(postfix))
    expect(levelClient(postfix)).toEqual({ family: 'inet6', address: '::1', port: 25, hostname: '[::1]' })
  })

  it('an IPv4 client behind an IPv6 socket is an IPv4 client', () => {
    const client = levelClient({ kind: 'connect', host: 'h', family: 'inet6', port: 1, address: '::ffff:10.0.0.1' })
    expect(client).toMatchObject({ family: 'inet', address: '10.0.0.1' })
  })

  it('local submissions and UNIX sockets stay what they are', () => {
    const local = { kind: 'connect', host: 'localhost', family: 'unknown', port: 0, address: '' } as const
    expect(levelClient(local)).toEqual({ family: 'unknown', address: '', port: 0, hostname: 'localhost' })
    const unix = { ...local, family: 'unix', address: '/run/x' } as const
    expect(levelClient(unix)).toMatchObject({ family: 'unix', address: '/run/x' })
  })

  it.each([
    ['', '<>'],
    ['<>', '<>'],
    ['a@b', '<a@b>'],
    ['<"a b"@x>', '<"a b"@x>'],
    ['<@hop:a@b>', '<@hop:a@b>'],
  ])('the path %s becomes %s', (path, raw) => {
    expect(levelPath({ kind: 'mail', path, parameters: ['SIZE=1'] })).toEqual({ raw, args: ['SIZE=1'] })
  })
})
