/**
 * Turns a configuration of milter manager into one of milterhost: the documented subset, and a list of what was not taken over.
 *
 * No Ruby is run and nothing is opened but the files that the configuration loads. Called by `milterhost import`.
 */
import { globSync, readFileSync } from 'node:fs'
import { dirname, isAbsolute, join } from 'node:path'
import { hostError } from '../../host/errors.ts'
import { interpret, type LoadFiles } from './interpret.ts'
import { type Written, writeConfiguration } from './write.ts'

export type { Note } from './model.ts'
export type { Written } from './write.ts'

/** Throws IMPORT_UNREADABLE and IMPORT_SYNTAX. */
export function importMilterManager(file: string): Written {
  const folder = dirname(file)
  const load: LoadFiles = pattern => {
    const found = isAbsolute(pattern)
      ? globSync(pattern)
      : globSync(pattern, { cwd: folder }).map(name => join(folder, name))
    if (found.length === 0) throw new Error(`${pattern} is not there`)
    return found.sort().map(name => ({ file: name, text: readFileSync(name, 'utf8') }))
  }
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    throw hostError('IMPORT_UNREADABLE', file, (error as Error).message)
  }
  return writeConfiguration(interpret({ file, text }, load), file)
}
