/**
 * What is wrong with a scenario file, with file and line.
 */
import { hostError } from '../../host/errors.ts'

/** `where` names the line; the error's code is `SCENARIO_INVALID`. */
export const badScenario = (where: { readonly file: string; readonly line: number }, what: string): Error =>
  hostError('SCENARIO_INVALID', `${where.file}:${where.line}`, what)
