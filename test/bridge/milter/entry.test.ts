import { describe, expect, test } from 'vitest'
import { socket } from '../../../src/bridge/milter/index.ts'
import { filterAt } from './play.ts'

const messageOf = (address: unknown, options: object = {}): string => {
  try {
    filterAt(address as string, options)
  } catch (error) {
    expect(error).toMatchObject({ code: 'SOCKET_OPTION' })
    return (error as Error).message
  }
  return 'no error'
}

describe('a socket entry', () => {
  test('is named, described by its address, and says which options are its own', () => {
    const entry = socket('opendkim', 'inet:8891@127.0.0.1', { onFailure: 'accept', version: 4 })
    expect(entry).toMatchObject({
      kind: 'socket',
      defaultName: 'opendkim',
      describe: 'inet:8891@127.0.0.1',
      options: { onFailure: 'accept', version: 4 },
      ownOptions: ['version', 'macros', 'headerIndex', 'concurrency', 'pipelining', 'health', 'launch'],
    })
  })

  test.each(['inet:8891@127.0.0.1', 'inet:127.0.0.1:8891', 'inet:[::1]:8891', 'unix:/run/x', 'local:/run/x', '/run/x'])(
    'takes the address %s',
    address => expect(messageOf(address)).toBe('no error'),
  )

  test('counts headers like Sendmail unless told otherwise', () => {
    expect(filterAt('unix:/run/x').headerRules).toBe('sendmail')
    expect(filterAt('unix:/run/x', { headerIndex: 'postfix' }).headerRules).toBe('postfix')
  })

  test.each<[unknown, object, RegExp]>([
    ['127.0.0.1:8891', {}, /write inet:127.0.0.1:8891/],
    [8891, {}, /must be a string such as "unix:.*", not 8891/],
    ['unix:/x', { version: 5 }, /version must be one of 2, 3, 4, 6, not 5/],
    ['unix:/x', { headerIndex: 'postifx' }, /headerIndex must be .*; did you mean "postfix"/],
    ['unix:/x', { macros: ['i'] }, /macros must be an object/],
    ['unix:/x', { macros: { help: ['i'] } }, /macros.help is not a stage; did you mean "helo"/],
    ['unix:/x', { macros: { mail: 'i' } }, /macros.mail must be a list of names/],
    ['unix:/x', { macros: { mail: ['auth type'] } }, /"auth type" is not a macro name/],
    ['unix:/x', { macros: { mail: { i: 7 } } }, /macros.mail.i must be a string or true, not 7/],
    ['unix:/x', { macros: { mail: { i: 'a\0' } } }, /macros.mail.i holds a NUL/],
    ['unix:/x', { concurrency: 0 }, /concurrency must be a whole number of at least 1, not 0/],
    ['unix:/x', { pipelining: 'yes' }, /pipelining must be true or false, not "yes"/],
    ['unix:/x', { concurrency: '5' }, /concurrency must be a whole number of at least 1, not "5"/],
    ['unix:/x', { health: '1m' }, /health must be an object such as .*, not "1m"/],
    ['unix:/x', { health: { intervall: '1m' } }, /health.intervall is not an option; did you mean "interval"/],
    ['unix:/x', { health: { interval: '10ms' } }, /health.interval must be at least 1 s, not "10ms"/],
    ['unix:/x', { health: { timeout: 'soon' } }, /health.timeout must be a length of time such as/],
    ['unix:/x', { launch: 'opendkim' }, /launch must be an object with one of systemd, service, command, launcher/],
    ['unix:/x', { launch: { sytemd: 'x.service' } }, /launch must be .*; did you mean "systemd"/],
    ['', { version: 7 }, /it is empty.*; version must be/],
  ])('refuses %j with %j and says what is right', (address, options, message) => {
    expect(messageOf(address, options)).toMatch(/^socket filter ext: /)
    expect(messageOf(address, options)).toMatch(message)
  })
})
