"""Names that mean nearly the same, by a language model on this machine: more candidates for the review queue, no more.

Nothing here decides anything. It is asked after an order was put aside for a person, and only adds to what the person
is shown. Without the model's package the queue shows the candidates that are written alike, as before.
"""
