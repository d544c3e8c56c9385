/** What of the configuration is a secret: passwords, their hashes, tokens, keys. */

const SECRET_NAME =
  /pass(w|phrase)|hash|secret|token|credential|psk|^key$|(private|api|access|shared|luks|wg|wireguard|encryption|recovery)[_-]?key/i;

/** Whether a value of this name is one. */
export const isSecretName = (name: string): boolean => SECRET_NAME.test(name);
