/**
 * The domains of `bypass.providers` when the postmaster names none. Each is compared with the organisational domain of a sender.
 */

/** Large senders that retry from many addresses; each publishes SPF. */
export const PROVIDERS: readonly string[] = [
  'gmail.com',
  'googlemail.com',
  'google.com',
  'outlook.com',
  'hotmail.com',
  'live.com',
  'msn.com',
  'microsoft.com',
  'yahoo.com',
  'aol.com',
  'icloud.com',
  'me.com',
  'apple.com',
  'gmx.de',
  'gmx.net',
  'web.de',
  't-online.de',
  'mail.ru',
  'yandex.ru',
  'qq.com',
  'proton.me',
  'protonmail.com',
  'fastmail.com',
  'zoho.com',
  'amazon.com',
  'amazonses.com',
  'facebookmail.com',
  'paypal.com',
  'github.com',
]
