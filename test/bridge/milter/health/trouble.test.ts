import { expect, test } from 'vitest'
import { troubleOf } from '../../../../src/bridge/milter/health/trouble.ts'
import { hostError } from '../../../../src/host/errors.ts'

const aborted = (kind: string): AbortSignal => AbortSignal.abort({ kind, detail: 'x' })
const interrupted = hostError('INTERRUPTED', 'ext', 'mail', 'x')

test.each([
  [hostError('MILTER_CONNECT_TIMEOUT', 'ext', 'unix:/x', 4), 'silent'],
  [hostError('MILTER_NEGOTIATION', 'ext', 'no'), 'disagreeing'],
  [hostError('MILTER_CLOSED', 'ext', 'eom'), 'broken'],
  [hostError('MILTER_PROTOCOL', 'ext', 'eom', 'junk'), 'broken'],
])('%s means that it is %s', (error, kind) => {
  expect(troubleOf(error, null)).toMatchObject({ kind, code: error.code, reason: error.message })
})

test.each([
  ['ECONNREFUSED', 'absent'],
  ['ENOENT', 'absent'],
  ['EACCES', 'unreachable'],
  ['EHOSTUNREACH', 'unreachable'],
  ['ENOTFOUND', 'unreachable'],
  // Its queue of waiting connections is full: it takes none of them.
  ['EAGAIN', 'silent'],
])('a connection that ends with %s means that it is %s', (code, kind) => {
  const error = hostError('MILTER_CONNECT', 'ext', 'unix:/x', 'x')
  error.cause = Object.assign(new Error('x'), { code })
  expect(troubleOf(error, null)).toMatchObject({ kind, code: 'MILTER_CONNECT' })
})

test('an answer that came too late is its fault, one that nobody wanted any more is not', () => {
  expect(troubleOf(interrupted, aborted('timeout'))?.kind).toBe('late')
  expect(troubleOf(interrupted, aborted('client-left'))).toBeNull()
  expect(troubleOf(interrupted, aborted('shutdown'))).toBeNull()
  expect(troubleOf(interrupted, null)).toBeNull()
})

test.each([
  hostError('MILTER_DOWN', 'ext', 'down', 3, 'gone'),
  hostError('MILTER_POISON', 'ext', 15),
  hostError('MILTER_WANTS_MORE', 'ext', 'body'),
  new Error('toString'),
  Object.assign(new Error('x'), { code: 'toString' }),
])('%s says nothing of it', error => {
  expect(troubleOf(error, aborted('timeout'))).toBeNull()
})
