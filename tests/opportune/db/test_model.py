"""What a table of the site has by itself."""

from sqlalchemy import BigInteger, Column, ForeignKey, Integer, MetaData, SmallInteger, Table

from opportune.db.model import NAMING_CONVENTION


def test_a_foreign_key_has_as_many_bits_as_the_id_that_it_points_at() -> None:
    metadata = MetaData(naming_convention=NAMING_CONVENTION)
    columns = {"author_id": Integer, "size": Integer, "code": SmallInteger}
    keys = {"author_id": [ForeignKey("author.id")], "code": [ForeignKey("code.id")]}
    table = Table("book", metadata, *(Column(name, kind, *keys.get(name, ())) for name, kind in columns.items()))
    assert [type(column.type) for column in table.columns] == [BigInteger, Integer, SmallInteger]
