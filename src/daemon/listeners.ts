/**
 * The sockets of the daemon, one listener an address, kept over a reload when their address stays.
 *
 * A change opens what is new before it lets go of what is old, so that a configuration whose address cannot be bound
 * leaves everything as it was. Connections of an address that is given up may finish their message.
 */
import { type Listener, type ListenerOptions, listen } from '../bridge/mta/index.ts'
import { formatSocketAddress, parseSocketAddress, type SocketAddress } from '../bridge/wire/index.ts'
import type { ListenAddress } from '../host/config/settings.ts'
import type { MtaKind } from '../host/mta.ts'

interface Open {
  readonly listener: Listener
  readonly place: string
}

export class Listeners {
  readonly #options: Omit<ListenerOptions, 'mta'>
  #mta: MtaKind | null = null
  #open = new Map<string, Open>()
  readonly #leaving = new Set<Promise<void>>()

  constructor(options: Omit<ListenerOptions, 'mta'>) {
    this.#options = options
  }

  /** As bound, in the order of the configuration. */
  get addresses(): SocketAddress[] {
    return [...this.#open.values()].flatMap(({ listener }) => listener.addresses)
  }

  /** Throws and changes nothing when one of the new addresses cannot be bound. */
  async change(wanted: readonly ListenAddress[], mta: MtaKind | null, drain: number): Promise<void> {
    // An open listener cannot be told another MTA: it has to make way for its successor first.
    const again = mta !== this.#mta
    const next = new Map<string, Open>()
    const added: Open[] = []
    const before = this.#open
    if (again) for (const open of before.values()) this.#leave(open, drain)
    try {
      for (const address of wanted) {
        const key = keyOf(address)
        const kept = again ? undefined : before.get(key)
        if (kept !== undefined) {
          next.set(key, kept)
          continue
        }
        const place = placeOf(address)
        for (const [old, open] of before) if (old !== key && open.place === place && !again) this.#leave(open, drain)
        const open = { listener: await listen([address], { ...this.#options, mta }), place }
        added.push(open)
        next.set(key, open)
      }
    } catch (error) {
      for (const { listener } of added) await listener.close()
      throw error
    }
    this.#open = next
    this.#mta = mta
    for (const [key, open] of before) if (!next.has(key) && !again) this.#leave(open, drain)
  }

  /** No new connection, no new message; what runs has so many milliseconds. Resolves when all is closed. */
  async drain(milliseconds: number): Promise<void> {
    await Promise.all([...this.#open.values()].map(({ listener }) => listener.drain(milliseconds)))
    await Promise.all(this.#leaving)
  }

  /** Cuts everything. */
  async close(): Promise<void> {
    await Promise.all([...this.#open.values()].map(({ listener }) => listener.close()))
  }

  #leave({ listener }: Open, drain: number): void {
    const gone = listener.drain(drain).finally(() => this.#leaving.delete(gone))
    this.#leaving.add(gone)
  }
}

/** The same place in two spellings is one address; mode and group belong to it. */
const keyOf = (address: ListenAddress): string => `${placeOf(address)} ${address.mode} ${address.group}`

const placeOf = ({ address }: ListenAddress): string =>
  formatSocketAddress(parseSocketAddress(address, 'listen'), 'sendmail')
