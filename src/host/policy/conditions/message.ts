/**
 * Conditions on the message itself, as the filters before left it. Decided when the whole message is there: the filter is told everything
 * then, and only then.
 */
import type { Size } from '../../config/entry.ts'
import { parseSize } from '../../config/size.ts'
import { type Condition, testCondition } from '../condition.ts'
import { call } from '../patterns.ts'
import { anyName } from '../s25r.ts'

export interface SizeOptions {
  /** At least this size. @default none; one of the two is needed */
  readonly min?: Size
  /** At most this size. @default none */
  readonly max?: Size
}

/**
 * The whole message, header and body, is of that size, both bounds included. Decided at message.
 * @example messageSize({ max: '10MiB' })
 */
export function messageSize({ min, max }: SizeOptions): Condition {
  if (min === undefined && max === undefined) throw new RangeError('messageSize() needs min or max')
  const [least, most] = [min === undefined ? 0 : parseSize(min), max === undefined ? Infinity : parseSize(max)]
  return testCondition(
    ({ size }) => size >= least && size <= most,
    {
      describe: call('messageSize', [{ ...(min === undefined ? {} : { min }), ...(max === undefined ? {} : { max }) }]),
      at: 'message',
    },
    { events: ['header', 'eoh', 'body'] },
  )
}

/**
 * A header field of that name is there; with a value: one that is it, or matches. Decided at message.
 * @param name name of the field, in any case
 * @param value what the field has to be, or a regular expression that it has to match
 * @example header('Subject', /\[test\]/i)
 * @example header('List-Id')
 */
export function header(name: string, value?: string | RegExp): Condition {
  if (typeof name !== 'string' || !/^[\x21-\x39\x3b-\x7e]+$/.test(name))
    throw new RangeError(`${JSON.stringify(name)} is not the name of a header field`)
  const matches = value instanceof RegExp ? anyName([value]) : (text: string): boolean => text === value
  const wanted = name.toLowerCase()
  return testCondition(
    ({ headers }) =>
      headers.some(field => field.name.toLowerCase() === wanted && (value === undefined || matches(field.value))),
    { describe: call('header', value === undefined ? [name] : [name, value]), at: 'message' },
    { events: ['header', 'eoh'] },
  )
}
