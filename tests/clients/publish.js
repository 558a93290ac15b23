// Publishes a Bundle of ITI-65 read from standard input, finds its document, and fetches what it holds.
const Client = require("fhir-kit-client");

async function main() {
  const [base, token, ins] = process.argv.slice(2);
  const client = new Client({ baseUrl: base, bearerToken: token });
  const chunks = [];
  for await (const chunk of process.stdin) chunks.push(chunk);
  const answer = await client.transaction({ body: JSON.parse(Buffer.concat(chunks).toString()) });
  const found = await client.search({
    resourceType: "DocumentReference",
    searchParams: { "patient.identifier": ins, status: "current", _sort: "-date" },
  });
  const document = found.entry[0].resource;
  const url = document.content[0].attachment.url;
  const binary = await client.read({ resourceType: "Binary", id: url.split("/")[1] });
  const statement = await client.capabilityStatement();
  console.log(
    JSON.stringify({
      statuses: answer.entry.map((entry) => entry.response.status),
      total: found.total,
      title: document.content[0].attachment.title,
      data: binary.data,
      fhirVersion: statement.fhirVersion,
    }),
  );
}

main().catch((error) => {
  console.error(error.response ? JSON.stringify(error.response.data) : error);
  process.exit(1);
});
