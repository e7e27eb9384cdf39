/**
 * A mistake of whoever typed the command: told in one line.
 */
export const userError = (message: string): Error => Object.assign(new Error(message), { code: 'DKIM_COMMAND' })
