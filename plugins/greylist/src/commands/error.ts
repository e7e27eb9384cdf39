/**
 * A mistake of whoever typed the command, or a store that cannot be used: told in one line.
 */
export const userError = (message: string): Error => Object.assign(new Error(message), { code: 'GREYLIST_COMMAND' })
