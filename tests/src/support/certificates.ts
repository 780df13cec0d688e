import { chmodSync, chownSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { generate } from "selfsigned";

/** A certificate authority made for one test. */
export interface Authority {
  /** Its certificate, for who is to trust it. */
  readonly ca: string;
  /** Makes a certificate for a server. */
  certify(altName: AltName): Promise<Certificate>;
}

/** What a certificate is for: a host name or an address. */
export type AltName = { readonly type: 2; readonly value: string } | { readonly type: 7; readonly ip: string };

export interface Certificate {
  readonly cert: string;
  readonly private: string;
}

export async function createAuthority(name: string): Promise<Authority> {
  const authority = await generate([{ name: "commonName", value: name }], {
    algorithm: "sha256",
    extensions: [
      { name: "basicConstraints", cA: true, critical: true },
      { name: "keyUsage", keyCertSign: true, critical: true },
    ],
  });
  return {
    ca: authority.cert,
    certify: (altName) =>
      generate([{ name: "commonName", value: "pup test server" }], {
        algorithm: "sha256",
        ca: { key: authority.private, cert: authority.cert },
        extensions: [
          { name: "basicConstraints", cA: false, critical: true },
          { name: "keyUsage", digitalSignature: true, keyEncipherment: true, critical: true },
          { name: "extKeyUsage", serverAuth: true },
          { name: "subjectAltName", altNames: [altName] },
        ],
      }),
  };
}

/** A place for a server's certificate, where the server can read it. */
export interface CertificateFiles extends Disposable {
  /** Settings of the server that uses it. */
  readonly settings: { readonly ssl: "on"; readonly ssl_cert_file: string; readonly ssl_key_file: string };
  /** Puts another one in its place. The server takes it when it is told to read its settings again. */
  replace(certificate: Certificate): void;
}

export function writeCertificate(first: Certificate): CertificateFiles {
  const folder = mkdtempSync(join(tmpdir(), "pup-certificate-"));
  chmodSync(folder, 0o755);
  const [certFile, keyFile] = [join(folder, "server.crt"), join(folder, "server.key")];

  function replace(certificate: Certificate): void {
    writeFileSync(certFile, certificate.cert);
    // A key that others could read is refused.
    writeFileSync(keyFile, certificate.private, { mode: 0o600 });
    // As root, the server runs as nobody.
    if (process.getuid?.() === 0) chownSync(keyFile, 65_534, 65_534);
  }

  replace(first);
  return {
    settings: { ssl: "on", ssl_cert_file: certFile, ssl_key_file: keyFile },
    replace,
    [Symbol.dispose]: () => rmSync(folder, { recursive: true }),
  };
}
