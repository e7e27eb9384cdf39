/**
 * The version of the plugin API, and what is said of a plugin that was made for another one.
 *
 * `definePlugin` stamps what it makes; the stamp is compared when a configuration is validated, before anything of the plugin runs. A
 * plugin usually gets the `definePlugin` of the milterhost that runs it and then says by `api` what it was written for; one that brings a
 * copy of its own is told by that copy's stamp.
 */
import { hostError } from '../errors.ts'

/** Version of the plugin API: changes when a plugin that worked would work no more. */
export const PLUGIN_API = 1

/** `null` when it fits; else the error `PLUGIN_API`. `api`: what the plugin is stamped with. */
export function apiProblem(plugin: string, api: unknown): Error | null {
  if (api === PLUGIN_API) return null
  const remedy =
    typeof api === 'number' && api > PLUGIN_API
      ? `install a newer milterhost, or a version of the plugin for API ${PLUGIN_API}`
      : 'install a newer version of the plugin'
  return hostError('PLUGIN_API', plugin, String(api), PLUGIN_API, remedy)
}
