/**
 * Writes a text that a command made to a file that is not there yet; one that is there only when told to.
 */
import { writeFileSync } from 'node:fs'
import { hostError } from '../host/errors.ts'

/** Throws OUTPUT_EXISTS and OUTPUT_FAILED. */
export function writeOutput(file: string, text: string, force: boolean): void {
  try {
    writeFileSync(file, text, { flag: force ? 'w' : 'wx' })
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    throw code === 'EEXIST' ? hostError('OUTPUT_EXISTS', file) : hostError('OUTPUT_FAILED', file, message)
  }
}
