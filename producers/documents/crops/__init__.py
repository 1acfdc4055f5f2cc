"""Pictures of the places of a document where its fields were read, for the people who decide about its orders."""
