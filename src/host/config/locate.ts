/**
 * Finds the configuration file: the one that was named, else in the working directory, else in /etc/milterhost.
 */
import { statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { hostError } from '../errors.ts'

/** In the order they are looked for in each folder. */
export const CONFIG_NAMES: readonly string[] = ['ts', 'mts', 'js', 'mjs', 'cts', 'cjs'].map(
  extension => `milterhost.config.${extension}`,
)

export const SYSTEM_FOLDER = '/etc/milterhost'

/** The absolute path, or `null` when none was named and none found. Throws when the named one is not there. */
export function locateConfig(named: string | undefined, folders: readonly string[]): string | null {
  if (named !== undefined) {
    const path = resolve(named)
    if (isFile(path)) return path
    const inside = CONFIG_NAMES.map(name => join(path, name)).find(isFile)
    if (inside === undefined) throw hostError('CONFIG_NOT_FOUND', path)
    return inside
  }
  for (const folder of folders) {
    const path = CONFIG_NAMES.map(name => join(resolve(folder), name)).find(isFile)
    if (path !== undefined) return path
  }
  return null
}

const isFile = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isFile() ?? false
