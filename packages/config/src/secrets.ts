/** What of the configuration is a secret: passwords, their hashes, tokens, keys. */

const SECRET_NAME = /passw|hash|secret|token|^key$|private.?key|credential/i;

/** Whether a value of this name is one. */
export const isSecretName = (name: string): boolean => SECRET_NAME.test(name);
