import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Entry, Roster } from '../../src/host/roster.ts'

describe('a roster', () => {
  test('holds what entered and did not leave, the oldest first', () => {
    const steps = fc.array(fc.record({ enters: fc.boolean(), which: fc.nat(9) }))
    fc.assert(
      fc.property(steps, script => {
        const roster = new Roster<number>()
        const entries = Array.from({ length: 10 }, (_, i) => new Entry(i))
        const model = new Set<number>()
        for (const { enters, which } of script) {
          const entry = entries[which]!
          if (enters) {
            roster.enter(entry)
            model.add(which)
          } else expect(roster.leave(entry)).toBe(model.delete(which))
          expect(roster.has(entry)).toBe(model.has(which))
          expect([...roster]).toEqual([...model])
          expect(roster.size).toBe(model.size)
        }
      }),
    )
  })

  test('lets members leave and come while it is gone through', () => {
    const roster = new Roster<string>()
    const [a, b, c] = ['a', 'b', 'c'].map(item => new Entry(item)) as [Entry<string>, Entry<string>, Entry<string>]
    roster.enter(a)
    roster.enter(b)
    const seen: string[] = []
    for (const item of roster) {
      seen.push(item)
      roster.leave(a)
      roster.leave(b)
      roster.enter(c)
    }
    expect(seen).toEqual(['a', 'b'])
    expect([...roster]).toEqual(['c'])
  })

  test('is empty when it is cleared, and its members may enter another', () => {
    const [one, other] = [new Roster<string>(), new Roster<string>()]
    const entry = new Entry('a')
    one.enter(entry)
    expect(() => other.enter(entry)).toThrow('one roster only')
    one.clear()
    expect(one.size).toBe(0)
    expect(one.leave(entry)).toBe(false)
    other.enter(entry)
    expect([...other]).toEqual(['a'])
  })

  test('leaves nothing behind at those that left', () => {
    const roster = new Roster<string>()
    const [a, b] = [new Entry('a'), new Entry('b')]
    roster.enter(a)
    roster.enter(b)
    roster.leave(a)
    expect(a).toMatchObject({ before: null, after: null, roster: null })
    expect(b).toMatchObject({ before: null, after: null })
  })
})
