/** An address as logs and people may see it. Pure. */

/** `postgres://mail:secret@db/mail` without the secret. */
export const withoutPassword = (url: string): string => url.replace(/^([a-z+]+:\/\/[^:/@?]*):[^@/?]*@/i, '$1:…@')
