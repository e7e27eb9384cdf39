/**
 * Loads a package that only some look-ups need, and says which one to install when it is not there.
 *
 * Such packages are optional peers: who uses no LDAP does not install an LDAP client. Called when a generation opens its look-ups, so
 * that a missing one is told at start and by `check`, not by the first mail.
 */
import { isNotFound } from '../host/config/load-error.ts'
import { hostError } from '../host/errors.ts'

/** `load` is `() => import('name')`, written out so that bundlers and people see it. Throws `LOOKUP_DRIVER`. */
export async function loadDriver<M>(lookup: string, name: string, load: () => Promise<M>): Promise<M> {
  try {
    return await load()
  } catch (error) {
    // A package that is there and lacks one of its own is another matter.
    if (isNotFound(error) && (error as Error).message.includes(`'${name}'`))
      throw hostError('LOOKUP_DRIVER', lookup, name)
    throw hostError('LOOKUP_FAILED', lookup, `the package ${name} cannot be loaded: ${(error as Error).message}`)
  }
}
