/**
 * What the rest of the project uses to start and stop the processes behind external milters.
 *
 * The launcher itself (`launcher/`) is a program of its own and not part of this; it shares its frames and its way to run a program.
 */
export type { ProcessControl, ProcessStatus } from './control.ts'
export { inheritedLauncher, LauncherClient } from './launcher-client.ts'
export { type LaunchOptions, launchProblems } from './options.ts'
export { type LaunchSurroundings, processControl } from './process-control.ts'
