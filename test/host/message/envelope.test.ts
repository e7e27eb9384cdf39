import { describe, expect, test } from 'vitest'
import { changeSender, planEnvelope } from '../../../src/host/message/envelope.ts'

const sender = { raw: '<a@example.com>', args: ['BODY=8BITMIME', 'ENVID=abc', 'RET=FULL'] }

describe('a new sender', () => {
  test('keeps the parameters of the old one when it comes without', () => {
    for (const rules of ['postfix', 'sendmail'] as const) {
      expect(changeSender(sender, 'b@example.com', ' ', rules)).toEqual({ raw: '<b@example.com>', args: sender.args })
    }
  })

  test('replaces all parameters by its own, by the rules of Sendmail', () => {
    expect(changeSender(sender, '<b@example.com>', 'RET=HDRS', 'sendmail').args).toEqual(['RET=HDRS'])
  })

  test('replaces only the parameters it names, by the rules of Postfix', () => {
    expect(changeSender(sender, '<b@example.com>', 'ret=HDRS SIZE=1', 'postfix').args).toEqual([
      'BODY=8BITMIME',
      'ENVID=abc',
      'ret=HDRS',
      'SIZE=1',
    ])
  })
})

describe('telling an MTA of a new sender', () => {
  const recipients = [{ raw: '<r@example.net>', args: [] }]
  const after = { recipients, sender: { raw: '<b@example.com>', args: ['BODY=8BITMIME', 'ENVID=abc', 'RET=HDRS'] } }

  test('names all its parameters to Sendmail, which forgets the others, and to Postfix those that changed', () => {
    const edit = { kind: 'changeSender', address: '<b@example.com>' }
    const plan = (mta: 'postfix' | 'sendmail') => planEnvelope({ recipients, sender }, after, mta)
    expect(plan('sendmail')).toEqual([{ ...edit, args: 'BODY=8BITMIME ENVID=abc RET=HDRS' }])
    expect(plan('postfix')).toEqual([{ ...edit, args: 'RET=HDRS' }])
  })
})
