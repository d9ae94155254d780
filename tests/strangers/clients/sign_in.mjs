// @azure/msal-node signs in every way there is; one line of JSON per step on standard output, answers on standard input.
import { createInterface } from 'node:readline';
import { ConfidentialClientApplication, CryptoProvider } from '@azure/msal-node';

const facts = JSON.parse(process.env.STRANGER_FACTS);
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

/** Instance discovery asks Microsoft about hosts it does not know: it is off for those that are named. */
const app = (proof) => new ConfidentialClientApplication({
  auth: { clientId: facts.clientId, authority: `${facts.origin}/${facts.tenantId}`, knownAuthorities: [new URL(facts.origin).host], ...proof },
});

async function alone(proof) {
  try {
    return (await app(proof).acquireTokenByClientCredential({ scopes: [facts.scope] })).accessToken;
  } catch (error) {
    return { refused: `${error.errorCode} ${error.errorMessage}` };
  }
}

const { own, other } = facts.certificates;
const certificate = (one, print) => ({ clientCertificate: { privateKey: one.key, [print]: one[print] } });
const result = {
  secret: await alone({ clientSecret: facts.clientSecret }),
  wrongSecret: await alone({ clientSecret: 'wrong' }),
  certificate: await alone(certificate(own, 'thumbprintSha256')),
  olderCertificate: await alone(certificate(own, 'thumbprint')),
  otherCertificate: await alone(certificate(other, 'thumbprintSha256')),
  wrongKey: await alone({ clientCertificate: { privateKey: other.key, thumbprintSha256: own.thumbprintSha256 } }),
};

const person = app(certificate(own, 'thumbprintSha256'));
const scopes = ['User.Read', 'Mail.ReadWrite'];
const { verifier, challenge } = await new CryptoProvider().generatePkceCodes();
const asked = { scopes, redirectUri: facts.redirectUri, responseMode: 'query', state: 'a state', codeChallenge: challenge, codeChallengeMethod: 'S256' };
say({ visit: await person.getAuthCodeUrl(asked) });
const code = new URL(JSON.parse((await lines.next()).value).returned).searchParams.get('code');
const first = await person.acquireTokenByCode({ code, scopes, redirectUri: facts.redirectUri, codeVerifier: verifier });
const cached = await person.acquireTokenSilent({ account: first.account, scopes });
const renewed = await person.acquireTokenSilent({ account: first.account, scopes, forceRefresh: true });
const again = await person.acquireTokenByCode({ code, scopes, redirectUri: facts.redirectUri, codeVerifier: verifier }).catch((error) => `${error.errorCode} ${error.errorMessage}`);
result.person = {
  who: first.account.username, name: first.account.name, first: first.accessToken, cached: cached.accessToken, renewed: renewed.accessToken, again,
};
say({ result });
process.exit(0);
