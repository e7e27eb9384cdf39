import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CommandOrder, type OrderedCommand } from '../../../src/bridge/mta/order.ts'

const commands: OrderedCommand[] = [
  'connect',
  'helo',
  'mail',
  'rcpt',
  'data',
  'header',
  'eoh',
  'body',
  'eom',
  'unknown',
]

/** Runs a conversation; letters of what was run, `x` for ignored, `!` before a step that ended a message. */
function run(order: CommandOrder, text: string): string {
  const byLetter = new Map([...'CHMRTLNBEU'].map((letter, at) => [letter, commands[at]!]))
  return [...text]
    .map(letter => {
      const step = order.take(byLetter.get(letter)!)
      return (step.ends ? '!' : '') + (step.run ? letter : 'x')
    })
    .join('')
}

describe('the order of commands', () => {
  it.each([
    ['CHMRTLLNBBE', 'CHMRTLLNBBE'],
    ['CHMRRTNEMRTNE', 'CHMRRTNEMRTNE'],
    ['CHUMURUTLNBEU', 'CHUMURUTLNBEU'],
    ['HMRLNE', 'HMRLNE'],
    ['CC', 'Cx'],
    ['CHML', 'CHM!x'],
    ['CHMT', 'CHM!x'],
    ['CHMRTR', 'CHMRT!x'],
    ['CHMRTM', 'CHMRT!M'],
    ['CHMRH', 'CHMR!H'],
    ['CHLNBE', 'CHxxxx'],
    ['CHMRTLNBEE', 'CHMRTLNBEx'],
    ['CHMRTLNBER', 'CHMRTLNBEx'],
    ['CHMRTE', 'CHMRT!x'],
    ['CHMRTB', 'CHMRT!x'],
  ])('%s runs as %s', (text, expected) => {
    expect(run(new CommandOrder(), text)).toBe(expected)
  })

  it('counts commands that the MTA was asked not to send as passed', () => {
    expect(run(new CommandOrder(new Set(['header', 'eoh'])), 'CHMRTBE')).toBe('CHMRTBE')
    expect(run(new CommandOrder(new Set(['header', 'eoh', 'body'])), 'CHMRTE')).toBe('CHMRTE')
    expect(run(new CommandOrder(new Set(['data'])), 'CHMRLNE')).toBe('CHMRLNE')
  })

  it('a message is in progress from MAIL to its end, and every MAIL is run', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...commands)), sequence => {
        const order = new CommandOrder()
        let inMessage = false
        for (const command of sequence) {
          const { run: runs, ends } = order.take(command)
          expect(ends).toBe(ends && inMessage)
          if (ends) inMessage = false
          if (runs && command === 'mail') inMessage = true
          if (runs && command === 'eom') {
            expect(inMessage).toBe(true)
            inMessage = false
          }
          expect(order.inMessage).toBe(inMessage)
          if (command === 'mail' || command === 'helo') expect(runs).toBe(true)
        }
      }),
    )
  })
})
