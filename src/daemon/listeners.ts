/**
 * The sockets of the daemon, one listener an address, kept over a reload when their address stays.
 *
 * A change opens what is new before it lets go of what is old. Where the old is in the way of the new (the same socket with
 * other rights, another MTA behind it) it goes first, and comes back when the change fails: a configuration whose address
 * cannot be bound leaves everything as it was. Connections of an address that is given up may finish their message.
 */
import { adopt, type Listener, type ListenerOptions, type ListeningSocket, listen } from '../bridge/mta/index.ts'
import { formatSocketAddress, parseSocketAddress, type SocketAddress } from '../bridge/wire/index.ts'
import type { ListenAddress } from '../host/config/settings.ts'
import type { MtaKind } from '../host/mta.ts'

interface Open {
  readonly listener: Listener
  readonly address: ListenAddress
  readonly mta: MtaKind | null
}

/** What an SMTP session between two messages is given at the end to say something, so that it can be told 421. */
const SILENCE = 2_000

export class Listeners {
  readonly #options: Omit<ListenerOptions, 'mta'>
  readonly #inherited: readonly ListeningSocket[]
  /** Serves what was inherited; closing it would lose the sockets, so it stays for all configurations. */
  #adopted: Listener | null = null
  #open = new Map<string, Open>()
  readonly #leaving = new Set<Listener>()

  /** `inherited` sockets are listened on in place of every address of the configuration. */
  constructor(options: Omit<ListenerOptions, 'mta'>, inherited: readonly ListeningSocket[] = []) {
    this.#options = options
    this.#inherited = inherited
  }

  /** As bound, in the order of the configuration. */
  get addresses(): SocketAddress[] {
    return this.#adopted !== null
      ? [...this.#adopted.addresses]
      : [...this.#open.values()].flatMap(({ listener }) => listener.addresses)
  }

  /** Rejects, and then listens where it did before, when one of the new addresses cannot be bound. */
  async change(wanted: readonly ListenAddress[], mta: MtaKind | null, drain: number): Promise<void> {
    if (this.#inherited.length > 0) {
      if (this.#adopted === null) this.#adopted = await adopt(this.#inherited, { ...this.#options, mta })
      else this.#adopted.mta = mta
      return
    }
    const before = this.#open
    const next = new Map<string, Open>()
    const added: Open[] = []
    const displaced: string[] = []
    try {
      for (const address of wanted) {
        const key = keyOf(address, mta)
        const kept = before.get(key)
        if (kept === undefined) {
          for (const [old, open] of before) {
            if (displaced.includes(old) || placeOf(open.address) !== placeOf(address)) continue
            displaced.push(old)
            this.#leave(open, drain)
          }
          added.push(await this.#bind(address, mta))
        }
        next.set(key, kept ?? added.at(-1)!)
      }
    } catch (error) {
      await Promise.all(added.map(({ listener }) => listener.close()))
      this.#open = await this.#restored(before, displaced)
      throw error
    }
    this.#open = next
    for (const [key, open] of before) if (!next.has(key) && !displaced.includes(key)) this.#leave(open, drain)
  }

  /** For the end: no new connection, no new message; what runs has so many milliseconds. Resolves when all is closed. */
  async drain(milliseconds: number): Promise<void> {
    await Promise.all(this.#all().map(listener => listener.drain(milliseconds, Math.min(SILENCE, milliseconds))))
  }

  /** Cuts everything. */
  async close(): Promise<void> {
    await Promise.all(this.#all().map(listener => listener.close()))
  }

  #all(): Listener[] {
    const adopted = this.#adopted === null ? [] : [this.#adopted]
    return [...adopted, ...this.#leaving, ...[...this.#open.values()].map(({ listener }) => listener)]
  }

  async #bind(address: ListenAddress, mta: MtaKind | null): Promise<Open> {
    return { listener: await listen([address], { ...this.#options, mta }), address, mta }
  }

  async #restored(before: ReadonlyMap<string, Open>, displaced: readonly string[]): Promise<Map<string, Open>> {
    const restored = new Map<string, Open>()
    for (const [key, open] of before) {
      restored.set(key, displaced.includes(key) ? await this.#bind(open.address, open.mta) : open)
    }
    return restored
  }

  #leave({ listener }: Open, drain: number): void {
    this.#leaving.add(listener)
    listener.drain(drain).then(
      () => this.#leaving.delete(listener),
      error => this.#options.log.error({ error }, 'a listener did not close cleanly'),
    )
  }
}

/** The same place in two spellings is one address; mode, group and MTA belong to it. */
const keyOf = (address: ListenAddress, mta: MtaKind | null): string =>
  `${placeOf(address)} ${address.mode} ${address.group} ${mta}`

const placeOf = ({ address }: ListenAddress): string =>
  formatSocketAddress(parseSocketAddress(address, 'listen'), 'sendmail')
