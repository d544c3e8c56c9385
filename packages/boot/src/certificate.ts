/** The certificate of HTTPS boot: read, and looked at before it is used. */
import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import type { HttpConfig } from "@netboot6/config";

export type TlsConfig = NonNullable<HttpConfig["tls"]>;

export interface Certificate {
  /** PEM: the server's certificate first, then those that lead to an authority. */
  readonly cert: Buffer;
  readonly key: Buffer;
  /** Changes with the files. */
  readonly version: string;
}

/** Throws an error with a plain message where it cannot be used. */
export function readCertificate({ cert: certFile, key: keyFile }: TlsConfig): Certificate {
  const [cert, key] = [certFile, keyFile].map((file) => {
    try {
      return readFileSync(file);
    } catch (error) {
      throw new Error(`cannot read ${file}: ${(error as Error).message}`);
    }
  }) as [Buffer, Buffer];
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(cert);
  } catch {
    throw new Error(`${certFile} is no certificate in PEM`);
  }
  let fits: boolean;
  try {
    fits = certificate.checkPrivateKey(createPrivateKey(key));
  } catch {
    throw new Error(`${keyFile} is no private key in PEM without a passphrase`);
  }
  if (!fits) throw new Error(`${keyFile} is not the key of ${certFile}`);
  return { cert, key, version: certificateVersion({ cert: certFile, key: keyFile }) };
}

/** Of the files as they are now; "" where one of them is not there. */
export function certificateVersion({ cert, key }: Pick<TlsConfig, "cert" | "key">): string {
  try {
    return [cert, key].map((file) => statSync(file).mtimeMs).join(" ");
  } catch {
    return "";
  }
}

/** Until when it is valid, Unix milliseconds; and whether it is for this name or address. */
export function inspectCertificate({ cert }: Certificate, name: string): { readonly validUntil: number; readonly isFor: boolean } {
  const certificate = new X509Certificate(cert);
  const isFor = (name.includes(":") ? certificate.checkIP(name) : certificate.checkHost(name)) !== undefined;
  return { validUntil: Date.parse(certificate.validTo), isFor };
}
