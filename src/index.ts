/**
 * What a postmaster imports in a configuration file.
 *
 * ```ts
 * import { defineConfig, socket } from 'milterhost'
 * ```
 */

export { type DetectedOptions, type DetectedOverrides, detected } from './bridge/detect/index.ts'
export type { LaunchOptions } from './bridge/launch/index.ts'
export { type HealthOptions, type SocketOptions, socket } from './bridge/milter/index.ts'
export { type AgentOptions, agent } from './bridge/mta/liveness/agent.ts'
export { type Config, defineConfig, type ListenOptions, type MtaOptions } from './host/config/config.ts'
export type { Duration, EntryOptions, FilterEntry, Size } from './host/config/entry.ts'
export type { OnFailure } from './host/observe/event.ts'
export type {
  Endpoint,
  Liveness,
  LivenessQuestion,
  LivenessSource,
  Sight,
  SmtpConnection,
} from './host/time/liveness.ts'
