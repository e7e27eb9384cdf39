/**
 * Macro packets of an MTA, put into the session's store at the right moment.
 *
 * Those for MAIL and RCPT wait for their command: Postfix may send them while the message before is still to be cancelled,
 * and Sendmail sends them for a recipient it has refused, with no RCPT to follow. A new MAIL forgets the message before
 * it, the queue id above all. Until the MTA tells its queue id (Postfix has none at MAIL and the first RCPT) the host's
 * own one stands in, so that filters which log or key on `i` always have one. Macros for header, body and unknown
 * commands are left out, as libmilter does.
 */
import { type MacroStage, MacroStore } from '../../host/macros.ts'
import { type CommandKind, commandByte, commandKind, decodeCommand } from '../wire/index.ts'
import type { OrderedCommand } from './order.ts'

type Values = ReadonlyMap<string, string>

const stages: Readonly<Partial<Record<CommandKind, MacroStage>>> = {
  connect: 'connect',
  helo: 'helo',
  mail: 'mail',
  rcpt: 'rcpt',
  data: 'data',
  eoh: 'eoh',
  eom: 'eom',
}

const clearing: ReadonlySet<OrderedCommand> = new Set<OrderedCommand>(['connect', 'helo', 'rcpt'])

export class MacroIntake {
  #store = new MacroStore()
  /** `null` for none. */
  #waiting: Map<MacroStage, Values> | null = null

  get store(): MacroStore {
    return this.#store
  }

  /** Another session, or none: nothing of the one before is kept. */
  begin(store: MacroStore = new MacroStore()): void {
    this.#store = store
    this.#waiting = null
  }

  /** Returns the command the macros are for. Throws WireError if they cannot be read. */
  receive(payload: Buffer): CommandKind | undefined {
    const kind = commandKind(payload[0] ?? 0)
    const stage = kind === undefined ? undefined : stages[kind]
    if (stage === undefined) return kind
    const command = decodeCommand(commandByte.MACRO, payload)
    if (command.kind !== 'macros') return kind
    const values = new Map<string, string>()
    for (const [name, value] of command.macros) if (!values.has(name)) values.set(name, value)
    if (stage === 'mail' || stage === 'rcpt') {
      this.#waiting ??= new Map()
      this.#waiting.set(stage, values)
    } else this.#store.set(stage, values)
    return kind
  }

  /** A command is about to run. */
  arrive(command: OrderedCommand): void {
    const stage = stages[command]
    if (command === 'mail') this.#store.clearAfter('helo')
    else if (clearing.has(command)) this.#store.clearAfter(command as MacroStage)
    const values = stage === undefined ? undefined : this.#waiting?.get(stage)
    if (values !== undefined) this.#store.set(stage!, values)
    if (command !== 'unknown') this.#waiting = null
  }

  /** The host's own queue id for the message that begins; the MTA's wins as soon as it is told. */
  standIn(queueId: string): void {
    this.#store.supply('i', queueId)
  }

  endMessage(): void {
    this.#store.supply('i', undefined)
  }
}
