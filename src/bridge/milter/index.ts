/**
 * The side where we are the MTA: external milters as filters of the chain. `socket` is what a configuration calls, the
 * other names are for the composition root and the commands; nothing behind this face is imported from elsewhere.
 */
export { type SocketOptions, socket } from './entry.ts'
export { MacroChoice, type MacroOption, type MacroOptions } from './macro-choice.ts'
export { SocketFilter, type SocketFilterOptions } from './socket-filter.ts'
