import { describe, expect, test } from 'vitest'
import { Places, type Resting } from '../../../../src/bridge/milter/health/places.ts'

const late = (): Error => new Error('too late')
const open = (): AbortSignal => new AbortController().signal

describe('places', () => {
  test('are given at once while there are some', () => {
    const places = new Places(2)
    expect(places.take(open(), late)).toBeUndefined()
    expect(places.take(open(), late)).toBeUndefined()
    expect(places.take(open(), late)).toBeInstanceOf(Promise)
    expect(places.waiting).toBe(1)
  })

  test('are given in the order in which they were asked for, and nobody overtakes', async () => {
    const places = new Places(1)
    places.take(open(), late)
    const order: number[] = []
    const waits = [1, 2, 3].map(n => Promise.resolve(places.take(open(), late)).then(() => order.push(n)))
    places.free()
    await waits[0]
    expect(places.take(open(), late)).toBeInstanceOf(Promise)
    places.free()
    await waits[1]
    places.free()
    await waits[2]
    expect(order).toEqual([1, 2, 3])
  })

  test('are not waited for longer than the signal says, and what was given up is not given', async () => {
    const places = new Places(1)
    places.take(open(), late)
    const controller = new AbortController()
    const wait = places.take(controller.signal, late)
    const next = places.take(open(), late)
    controller.abort()
    await expect(wait).rejects.toThrow('too late')
    await expect(places.take(AbortSignal.abort(), late)).rejects.toThrow('too late')
    expect(places.waiting).toBe(1)
    places.free()
    await next
  })

  test('of sessions that rest are taken back when somebody waits, at once or when they begin to rest', async () => {
    const places = new Places(2)
    const session = (): Resting & { gone: boolean } => ({
      gone: false,
      letGo() {
        this.gone = true
        places.free()
      },
    })
    const [first, second] = [session(), session()]
    places.take(open(), late)
    places.take(open(), late)
    places.rest(first)
    places.rest(second)
    places.wake(first)
    await places.take(open(), late)
    expect([first.gone, second.gone]).toEqual([false, true])
    const wait = places.take(open(), late)
    expect(first.gone).toBe(false)
    places.rest(first)
    await wait
    expect(first.gone).toBe(true)
  })

  test('can be refused to all who wait', async () => {
    const places = new Places(1)
    places.take(open(), late)
    const waits = [places.take(open(), late), places.take(open(), late)]
    places.refuse(new Error('down'))
    for (const wait of waits) await expect(wait).rejects.toThrow('down')
    expect(places.waiting).toBe(0)
  })

  test('that become fewer are given when so many are free', async () => {
    const places = new Places(2)
    places.take(open(), late)
    places.take(open(), late)
    places.most = 1
    let given = false
    const wait = Promise.resolve(places.take(open(), late)).then(() => {
      given = true
    })
    places.free()
    await Promise.resolve()
    expect(given).toBe(false)
    places.free()
    await wait
  })
})
