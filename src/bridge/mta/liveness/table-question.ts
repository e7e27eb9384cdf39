/**
 * What is said between the program and the thread that reads the table of connections.
 *
 * A question is a list of connections, the answer what the table says of each, in their order. Who waits for long is asked for
 * every second, and copying an object for each from thread to thread would block the event loop for longer than reading the table: so
 * a connection is spelt out only when it was not in the question before, and everything else is flat arrays.
 */
import type { WantedIn } from './socket-table.ts'

export interface TableQuestion {
  readonly id: number
  /** Of each connection its place in the question before, or `NEW`. */
  readonly places: Uint32Array
  /** Those that are new, in their order. */
  readonly fresh: readonly WantedIn[]
  /** 1: it stood in the table before. */
  readonly seen: Uint8Array
}

export type TableAnswer =
  | {
      readonly id: number
      /** `ROW`. */
      readonly states: Uint8Array
      /** Of those established. */
      readonly inodes: Float64Array
      /** 1, of those established: bytes of the client lie there unread. */
      readonly unread: Uint8Array
      /** Milliseconds of processor time. */
      readonly cost: number
    }
  | { readonly id: number; readonly error: string }

export const NEW = 0xffff_ffff
