/**
 * milter-plugin-tarpit: makes suspicious clients wait before it lets them speak on, and remembers who did.
 *
 * Here is the joint to the host alone: options, store, hooks. What is decided is in `tarpit.ts`. It never refuses for a suspicion:
 * a client waits, or is asked to come again.
 */
import { definePlugin, type Plugin, stateFilePath } from 'milterhost/plugin'
import { MEMORY } from './file.ts'
import { Standing } from './ladder.ts'
import type { TarpitOptions } from './options.ts'
import { Patience } from './patience.ts'
import { optionsSchema } from './read-options.ts'
import { Store } from './store.ts'
import { type Connection, type Message, newConnection, newMessage, Tarpit } from './tarpit.ts'

export type { Attempt, Stage, TarpitOptions } from './options.ts'
export { EARLY_TALKER, TARPIT, type TarpitResult } from './tarpit.ts'

const PATIENCE = 'patience'

const tarpit: Plugin<TarpitOptions> = definePlugin({
  name: 'tarpit',
  version: '0.1.0',
  options: optionsSchema,
  connection: (): Connection => newConnection(),
  message: (): Message => newMessage(),
  setup(host, options) {
    // What is only tried out must teach nothing to those who serve.
    const path =
      options.store === 'memory' || host.rehearsal
        ? MEMORY
        : (options.store?.path ?? stateFilePath('tarpit.sqlite', process.env))
    let store: Store
    try {
      store = new Store({
        path,
        capacity: options.entries,
        now: () => host.clock.now(),
        problem: (fields, message) => host.log.warn({ path, ...fields }, message),
      })
    } catch (error) {
      throw new Error(`store: cannot open ${path}: ${error instanceof Error ? error.message : String(error)}`)
    }
    const { adaptive, hold } = options
    const patience =
      adaptive === null ? null : new Patience({ ...adaptive, most: hold }, store.note(`${PATIENCE} ${hold}`))
    const decisions = host.counter('decisions_total', 'Suspicious clients, by what was done')
    const holds = host.counter('holds_total', 'Clients made to wait, by how it ended')
    const credits = host.counter('credits_total', 'Clients that waited and brought a message to its end')
    const machine = new Tarpit({
      options,
      standing: new Standing(host, store, options),
      patience,
      keepPatience: text => store.keep(`${PATIENCE} ${hold}`, text),
      dns: host.dns,
      now: () => host.clock.now(),
      count: (what, label) => {
        if (what === 'credit') credits.add()
        else if (what === 'hold') holds.add(1, { outcome: label })
        else decisions.add(1, { decision: label })
      },
    })
    host.health('store', () => store.probe())
    host.onClose(async () => {
      await machine.idle()
      store.close()
    })
    return machine.hooks()
  },
})

export default tarpit
