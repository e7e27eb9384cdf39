import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { formatSocketAddress, parseSocketAddress, type SocketAddress } from '../../../src/bridge/wire/index.ts'
import { errorOf } from './error-of.ts'

const inet = (host: string, port: number, family?: 4 | 6): SocketAddress =>
  family === undefined ? { kind: 'inet', host, port } : { kind: 'inet', host, port, family }

const unix = (path: string): SocketAddress => ({ kind: 'unix', path })

describe('parseSocketAddress', () => {
  it.each([
    ['inet:8891@localhost', inet('localhost', 8891)],
    ['inet:8891@127.0.0.1', inet('127.0.0.1', 8891, 4)],
    ['inet:8891@[127.0.0.1]', inet('127.0.0.1', 8891, 4)],
    ['inet:localhost:8891', inet('localhost', 8891)],
    ['inet:127.0.0.1:8891', inet('127.0.0.1', 8891, 4)],
    ['inet:[127.0.0.1]:8891', inet('127.0.0.1', 8891, 4)],
    ['inet:[::1]:8891', inet('::1', 8891, 6)],
    ['inet:8891@::1', inet('::1', 8891, 6)],
    ['inet6:8891@::1', inet('::1', 8891, 6)],
    ['inet6:8891@[::1]', inet('::1', 8891, 6)],
    ['inet6:8891@[IPv6:::1]', inet('::1', 8891, 6)],
    ['inet6:8891@IPv6:::1', inet('::1', 8891, 6)],
    ['inet6:[fe80::1%eth0]:8891', inet('fe80::1%eth0', 8891, 6)],
    ['inet6:8891@mail.example', inet('mail.example', 8891, 6)],
    ['INET:8891@localhost', inet('localhost', 8891)],
    ['Inet6:8891@::1', inet('::1', 8891, 6)],
    ['inet:my_host.example-1:1', inet('my_host.example-1', 1)],
    ['unix:/run/x.sock', unix('/run/x.sock')],
    ['UNIX:/run/x.sock', unix('/run/x.sock')],
    ['local:/run/x.sock', unix('/run/x.sock')],
    ['unix:opendkim/x.sock', unix('opendkim/x.sock')],
    [':/run/x.sock', unix('/run/x.sock')],
    ['/run/x.sock', unix('/run/x.sock')],
    ['./x.sock', unix('./x.sock')],
    ['/run/a:b@c', unix('/run/a:b@c')],
    [`/${'x'.repeat(106)}`, unix(`/${'x'.repeat(106)}`)],
  ])('reads %j', (text, address) => {
    expect(parseSocketAddress(text)).toEqual(address)
    expect(parseSocketAddress(text, 'listen')).toEqual(address)
  })

  it.each([
    ['inet:8891', inet('0.0.0.0', 8891, 4)],
    ['inet6:8891', inet('::', 8891, 6)],
    ['inet:0@127.0.0.1', inet('127.0.0.1', 0, 4)],
  ])('reads %j for a listener only', (text, address) => {
    expect(parseSocketAddress(text, 'listen')).toEqual(address)
    expect(() => parseSocketAddress(text)).toThrow('socket address')
  })

  it.each([
    ['', 'WIRE_ADDRESS_SCHEME', 'it is empty; write inet:8891@localhost or unix:/path/to/socket'],
    ['localhost:8891', 'WIRE_ADDRESS_SCHEME', 'the scheme is missing; write inet:localhost:8891'],
    ['8891@localhost', 'WIRE_ADDRESS_SCHEME', 'the scheme is missing; write inet:8891@localhost'],
    ['[::1]:8891', 'WIRE_ADDRESS_SCHEME', 'the scheme is missing; write inet:[::1]:8891'],
    ['tcp://localhost:8891', 'WIRE_ADDRESS_SCHEME', 'a URL is not a socket address; write inet:localhost:8891'],
    ['run/x.sock', 'WIRE_ADDRESS_SCHEME', 'a path without scheme must start with "/"; write unix:run/x.sock'],
    ['smtp:localhost', 'WIRE_ADDRESS_SCHEME', 'the scheme is none of inet, inet6, unix and local'],
    ['inet:8891', 'WIRE_ADDRESS_HOST', 'there is no host (a port alone is for a listener); write inet:8891@localhost'],
    ['inet:', 'WIRE_ADDRESS_HOST', 'there is no host'],
    ['inet:localhost', 'WIRE_ADDRESS_PORT', 'there is no port; write inet:8891@localhost'],
    ['inet:localhost:', 'WIRE_ADDRESS_PORT', 'there is no port; write inet:8891@localhost'],
    ['inet:@localhost', 'WIRE_ADDRESS_PORT', 'there is no port; write inet:8891@localhost'],
    ['inet:[::1]', 'WIRE_ADDRESS_PORT', 'there is no port; write inet:8891@[::1]'],
    ['inet:milter@localhost', 'WIRE_ADDRESS_PORT', 'the port "milter" is not a number; write inet:8891@localhost'],
    ['inet:localhost:milter', 'WIRE_ADDRESS_PORT', 'the port "milter" is not a number; write inet:8891@localhost'],
    ['inet:localhost:-1', 'WIRE_ADDRESS_PORT', 'the port "-1" is not a number'],
    ['inet:65536@localhost', 'WIRE_ADDRESS_PORT', 'the port 65536 is not from 1 to 65535; write inet:8891@localhost'],
    ['inet:0@localhost', 'WIRE_ADDRESS_PORT', 'the port 0 is not from 1 to 65535; write inet:8891@localhost'],
    ['inet:8891@', 'WIRE_ADDRESS_HOST', 'the host "" is no name or address; write inet:8891@localhost'],
    ['inet:8891@256.0.0.1', 'WIRE_ADDRESS_HOST', 'the host "256.0.0.1" is no name or address'],
    ['inet:8891@[localhost]', 'WIRE_ADDRESS_HOST', 'the host "[localhost]" is no name or address'],
    ['inet:8891@a b', 'WIRE_ADDRESS_HOST', 'the host "a b" is no name or address'],
    ['inet:::1:8891', 'WIRE_ADDRESS_HOST', 'an IPv6 address needs brackets here; write inet:[::1]:8891'],
    ['inet6:8891@127.0.0.1', 'WIRE_ADDRESS_HOST', 'this is an IPv4 address; write inet:8891@127.0.0.1'],
    ['unix:', 'WIRE_ADDRESS_PATH', 'the path is empty; write unix:/path/to/socket'],
    ['/run/\0x', 'WIRE_ADDRESS_PATH', 'the path holds a NUL'],
    [`/${'x'.repeat(107)}`, 'WIRE_ADDRESS_PATH', 'the path has 108 bytes, the system takes 107; choose a shorter path'],
    [`/${'ä'.repeat(54)}`, 'WIRE_ADDRESS_PATH', 'the path has 109 bytes, the system takes 107'],
  ])('refuses %j and says what to write', (text, code, part) => {
    const error = errorOf(() => parseSocketAddress(text))
    expect(error.code).toBe(code)
    expect(error.message).toContain(part)
    expect(error.message).toMatch(/^socket address "/)
  })

  it('gives hints that it would read itself', () => {
    for (const text of ['8891@localhost', 'localhost:8891', 'inet:::1:8891', 'inet:localhost', 'inet6:1@127.0.0.1']) {
      const { values } = errorOf(() => parseSocketAddress(text))
      expect(parseSocketAddress(String(values.hint))).toMatchObject({ kind: 'inet' })
    }
  })

  it('throws nothing but WireError, whatever it is given', () => {
    const pieces = fc.constantFrom('inet', 'inet6', 'unix', ':', '@', '[', ']', '::1', '8891', '/', 'a', '.', '%', '\0')
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 10 }), fc.constantFrom('listen', 'connect'), (parts, role) => {
        const text = parts.join('')
        let address: SocketAddress
        try {
          address = parseSocketAddress(text, role as 'listen' | 'connect')
        } catch (error) {
          expect(error).toHaveProperty('name', 'WireError')
          return
        }
        expect(parseSocketAddress(formatSocketAddress(address, 'sendmail'), 'listen')).toEqual(address)
      }),
    )
  })
})

describe('formatSocketAddress', () => {
  it('writes both spellings', () => {
    expect(formatSocketAddress(inet('localhost', 1), 'sendmail')).toBe('inet:1@localhost')
    expect(formatSocketAddress(inet('localhost', 1), 'postfix')).toBe('inet:localhost:1')
    expect(formatSocketAddress(inet('::1', 1, 6), 'sendmail')).toBe('inet6:1@::1')
    expect(formatSocketAddress(inet('::1', 1, 6), 'postfix')).toBe('inet:[::1]:1')
    expect(formatSocketAddress(unix('/run/x'), 'sendmail')).toBe('unix:/run/x')
    expect(formatSocketAddress(unix('/run/x'), 'postfix')).toBe('unix:/run/x')
  })

  it('is read back as the same address in either spelling', () => {
    const port = fc.integer({ min: 1, max: 65535 })
    const address = fc.oneof(
      fc.tuple(fc.ipV4(), port).map(([host, number]) => inet(host, number, 4)),
      fc.tuple(fc.ipV6(), port).map(([host, number]) => inet(host, number, 6)),
      fc.tuple(fc.domain(), port).map(([host, number]) => inet(host, number)),
      fc.stringMatching(/^\/[a-zA-Z0-9_./:@[\]-]{1,90}$/).map(unix),
    )
    fc.assert(
      fc.property(address, fc.constantFrom('sendmail' as const, 'postfix' as const), (value, spelling) => {
        expect(parseSocketAddress(formatSocketAddress(value, spelling))).toEqual(value)
      }),
    )
  })
})
