"""msgraph-sdk for Python at work: `chores` does what the tests look at, `import DIRECTORY` what the benchmark measures.

`STRANGER_FACTS` is the simulator's announcement with a `mailbox`; the answer is one JSON value on standard output.
"""

import asyncio
import hashlib
import json
import os
import pathlib
import sys
import time
from urllib.parse import urlsplit

import msal
from azure.core.credentials import AccessToken
from kiota_abstractions.api_error import APIError
from kiota_abstractions.base_request_configuration import RequestConfiguration
from kiota_authentication_azure.azure_identity_authentication_provider import AzureIdentityAuthenticationProvider
from msgraph import GraphRequestAdapter, GraphServiceClient
from msgraph.generated.models.message import Message
from msgraph.generated.users.item.mail_folders.item.messages.delta.delta_request_builder import DeltaRequestBuilder
from msgraph.generated.users.item.mail_folders.item.messages.messages_request_builder import MessagesRequestBuilder
from msgraph.generated.users.item.mail_folders.mail_folders_request_builder import MailFoldersRequestBuilder
from msgraph.generated.users.item.messages.item.move.move_post_request_body import MovePostRequestBody

# What Microsoft allows one app at one mailbox.
IN_FLIGHT = 4
IMMUTABLE = 'IdType="ImmutableId"'

facts = json.loads(os.environ["STRANGER_FACTS"])


class Credential:
    """A token of the app, as azure-identity would get it, which knows no other host than Microsoft's."""

    def __init__(self):
        self.app = msal.ConfidentialClientApplication(
            facts["clientId"],
            client_credential=facts["clientSecret"],
            authority=f"{facts['origin']}/{facts['tenantId']}",
            instance_discovery=False,
            verify=facts["caFile"],
        )

    def get_token(self, *scopes, **_):
        answer = self.app.acquire_token_for_client(list(scopes))
        return AccessToken(answer["access_token"], int(time.time()) + answer["expires_in"])


def sign_in():
    host = urlsplit(facts["origin"]).hostname
    provider = AzureIdentityAuthenticationProvider(Credential(), scopes=[facts["scope"]], allowed_hosts=[host])
    adapter = GraphRequestAdapter(provider)
    adapter.base_url = facts["graphUrl"]
    return GraphServiceClient(request_adapter=adapter)


def prefer(text=IMMUTABLE, query=None):
    configuration = RequestConfiguration(query_parameters=query)
    configuration.headers.add("Prefer", text)
    return configuration


async def pages(builder, configuration, header):
    """Every page from a builder on, by its links."""
    page = await builder.get(request_configuration=configuration)
    while True:
        yield page
        if not page.odata_next_link:
            return
        page = await builder.with_url(page.odata_next_link).get(request_configuration=prefer(header))


async def walk(builder, configuration, header=IMMUTABLE):
    items, count, link = [], 0, None
    async for page in pages(builder, configuration, header):
        items += page.value
        count += 1
        link = getattr(page, "odata_delta_link", None)
    return items, count, link


async def chores():
    user = sign_in().users.by_user_id(facts["mailbox"])
    inbox = user.mail_folders.by_mail_folder_id("inbox").messages
    top = MailFoldersRequestBuilder.MailFoldersRequestBuilderGetQueryParameters(top=100)
    folders = await user.mail_folders.get(request_configuration=prefer(query=top))
    query = MessagesRequestBuilder.MessagesRequestBuilderGetQueryParameters(select=["id", "subject"], top=10)
    listed, list_pages, _ = await walk(inbox, prefer(query=query))
    paged = f"{IMMUTABLE}, odata.maxpagesize=10"
    query = DeltaRequestBuilder.DeltaRequestBuilderGetQueryParameters(select=["id", "subject"])
    delta, delta_pages, link = await walk(inbox.delta, prefer(paged, query), paged)
    ids = [one.id for one in listed]
    mime = {}
    for one in ids:
        content = await user.messages.by_message_id(one).content.get(request_configuration=prefer())
        mime[one] = hashlib.sha256(content).hexdigest()
    marked, moved = ids[0], ids[1]
    read = await user.messages.by_message_id(marked).patch(Message(is_read=True), request_configuration=prefer())
    body = MovePostRequestBody(destination_id="archive")
    there = await user.messages.by_message_id(moved).move.post(body, request_configuration=prefer())
    try:
        await user.messages.by_message_id("AAkALgAAAAAAHYQDEapmEc2byACqAC-EWg0AAAAAAAAAAAAAAAAAAA").get()
        missing = 200
    except APIError as error:
        missing = error.response_status_code
    changes, _, _ = await walk(inbox.delta.with_url(link), prefer(paged), paged)
    return {
        "folders": [one.display_name for one in folders.value],
        "listed": ids,
        "listPages": list_pages,
        "delta": [one.id for one in delta],
        "deltaPages": delta_pages,
        "mime": mime,
        "marked": marked,
        "isRead": read.is_read,
        "moved": moved,
        "movedTo": there.id,
        "movedToFolder": there.parent_folder_id,
        "missing": missing,
        "removed": [one.id for one in changes if "@removed" in one.additional_data],
    }


async def import_to(directory):
    """Every message of the inbox: MIME to disk, marked as read; four requests in flight."""
    user = sign_in().users.by_user_id(facts["mailbox"])
    delta = user.mail_folders.by_mail_folder_id("inbox").messages.delta
    header = f"{IMMUTABLE}, odata.maxpagesize=200"
    query = DeltaRequestBuilder.DeltaRequestBuilderGetQueryParameters(select=["id"])
    # Room for one page: the next one is fetched while the last one's messages are.
    found = asyncio.Queue(200)
    slots = asyncio.Semaphore(IN_FLIGHT)
    imported = 0

    async def find():
        source = pages(delta, prefer(header, query), header)
        while True:
            async with slots:
                page = await anext(source, None)
            if page is None:
                break
            for item in page.value:
                await found.put(item.id)
        for _ in range(IN_FLIGHT):
            await found.put(None)

    async def work():
        nonlocal imported
        while (one := await found.get()) is not None:
            path = directory / f"{imported}.eml"
            imported += 1
            message = user.messages.by_message_id(one)
            async with slots:
                content = await message.content.get(request_configuration=prefer())
            path.write_bytes(content)
            # Four of these must not be kept until the next one comes.
            del content
            async with slots:
                await message.patch(Message(is_read=True), request_configuration=prefer())

    await asyncio.gather(find(), *(work() for _ in range(IN_FLIGHT)))
    return {"imported": imported}


match sys.argv[1:]:
    case ["chores"]:
        answer = asyncio.run(chores())
    case ["import", directory]:
        answer = asyncio.run(import_to(pathlib.Path(directory)))
    case _:
        sys.exit("chores, or import DIRECTORY")
print(json.dumps(answer))
