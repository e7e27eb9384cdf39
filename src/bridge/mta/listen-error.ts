/**
 * What the system says when a listener cannot start, as an error that says what to do about it.
 */
import { HostError, hostError } from '../../host/errors.ts'

export function listenError(address: string, error: unknown): HostError {
  if (error instanceof HostError) return error
  const made = describe(address, error)
  made.cause = error
  return made
}

export const codeOf = (error: unknown): string | undefined =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined

function describe(address: string, error: unknown): HostError {
  const what = error instanceof Error ? error.message : String(error)
  switch (codeOf(error)) {
    case 'EADDRINUSE':
      return hostError('LISTEN_IN_USE', address)
    case 'EACCES':
    case 'EPERM':
      return hostError('LISTEN_DENIED', address)
    case 'EADDRNOTAVAIL':
      return hostError('LISTEN_ADDRESS', address, 'this machine has no such address')
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return hostError('LISTEN_ADDRESS', address, 'the name cannot be resolved')
    case 'EAFNOSUPPORT':
      return hostError('LISTEN_ADDRESS', address, 'this machine has no IPv6')
    case 'ENOENT':
    case 'ENOTDIR':
      return hostError('LISTEN_DIRECTORY', address)
    default:
      return hostError('LISTEN_FAILED', address, what)
  }
}
