"""Arguments of `addmodel` with a field of each type."""

EVERY_TYPE = (
    *("title:str:120", "slug:slug", "body:markdown", "words:text:500:optional", "price:money:USD:min=0"),
    *("stars:int:min=1:max=5", "ratio:float:optional", "weight:decimal:8,3:optional:index", "is_pinned:bool"),
    *("published_on:date:optional", "starts_at:datetime:default=now", "opens:time:optional", "code:str:20:unique"),
    *("status:enum:draft,published:default=draft", "kind:enum(short,not-long)", "mailbox:email", "site:url"),
    *("phone:phone:optional", "land:country", "cover:image:optional", "script:file", "data:json", "keywords:list"),
    *("category:Category", "parent:Post:optional", "tags:Tag[]", "topics:many:blog.Tag", "created_at:datetime"),
    "updated_at",
)
SIGNED_IN = ("--read", "signed-in", "--write", "signed-in")
