// Signing in where the page is hosted: OpenID Connect, authorization code with PKCE.

const KEPT = "listening.sign-in";

export class SignIn {
  /** @param {{issuer: string, client_id: string, audience?: string}} config */
  constructor(config) {
    this.config = config;
    this.token = null; // kept in memory only: a reload asks the issuer again
  }

  /** Leaves for the issuer's own page. */
  async start() {
    const { authorization_endpoint } = await this.discover();
    const kept = { state: random(), verifier: random() };
    sessionStorage.setItem(KEPT, JSON.stringify(kept));
    const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(kept.verifier));
    const address = new URL(authorization_endpoint);
    const parameters = {
      response_type: "code",
      client_id: this.config.client_id,
      redirect_uri: redirectUri(),
      scope: "openid",
      state: kept.state,
      code_challenge: base64url(new Uint8Array(digest)),
      code_challenge_method: "S256",
      ...(this.config.audience && { audience: this.config.audience }),
    };
    for (const [name, value] of Object.entries(parameters)) address.searchParams.set(name, value);
    location.assign(address);
  }

  /** Finishes what `start` began, if the issuer sent the user back with this address. */
  async finish() {
    const answer = new URLSearchParams(location.search);
    if (!answer.has("state")) return;
    history.replaceState(null, "", location.pathname);
    const kept = JSON.parse(sessionStorage.getItem(KEPT) ?? "null");
    sessionStorage.removeItem(KEPT);
    if (!kept || answer.get("state") !== kept.state) {
      throw new Error("This sign-in was not begun here. Sign in again.");
    }
    if (answer.has("iss") && answer.get("iss") !== this.config.issuer) {
      throw new Error("The sign-in comes from another issuer. Sign in again.");
    }
    if (answer.has("error")) {
      throw new Error(`Sign-in failed: ${answer.get("error_description") ?? answer.get("error")}`);
    }
    const { token_endpoint } = await this.discover();
    const response = await fetch(token_endpoint, {
      method: "POST",
      body: new URLSearchParams({
        grant_type: "authorization_code",
        client_id: this.config.client_id,
        redirect_uri: redirectUri(),
        code: answer.get("code"),
        code_verifier: kept.verifier,
      }),
    });
    const document = await response.json().catch(() => ({}));
    if (!response.ok || !document.access_token) {
      const reason = document.error_description ?? document.error ?? response.status;
      throw new Error(`Sign-in failed: ${reason}. Sign in again.`);
    }
    this.token = document.access_token;
  }

  async discover() {
    const issuer = this.config.issuer;
    const place = `${issuer.replace(/\/$/, "")}/.well-known/openid-configuration`;
    const response = await fetch(place).catch(() => null);
    if (!response?.ok) throw new Error(`The issuer ${issuer} does not answer. Try again later.`);
    const document = await response.json();
    if (document.issuer !== issuer) throw new Error(`${place} is another issuer's.`);
    return document;
  }
}

function redirectUri() {
  return location.origin + location.pathname;
}

function random() {
  return base64url(crypto.getRandomValues(new Uint8Array(32)));
}

function base64url(bytes) {
  const text = btoa(String.fromCharCode(...bytes));
  return text.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}
