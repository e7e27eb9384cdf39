/** Runs what must fail and gives the WireError. Any other error goes through: the codec may throw no other. */

import { WireError } from '../../../src/bridge/wire/index.ts'

export function errorOf(run: () => unknown): WireError {
  try {
    run()
  } catch (error) {
    if (error instanceof WireError) return error
    throw error
  }
  throw new Error('there was no error')
}

export function codeOf(run: () => unknown): string {
  return errorOf(run).code
}
